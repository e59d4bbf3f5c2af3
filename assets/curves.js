// Curves drawn by Plotly into places that Gradio never touches again, so that a zoom outlives every update.
(() => {
  const studio = window.studio;
  const words = window.studioWords;
  const locale = document.documentElement.lang;
  // Okabe and Ito's colours, told apart with any colour vision; the order keeps contrast on light and on dark.
  const colours = {
    light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#000000"],
    dark: ["#56b4e9", "#e69f00", "#00c391", "#e09bc0", "#f0e442", "#ffffff"],
  };
  const most = 4000; // points of a series after which the whole run is asked for anew, thinned

  let loading;
  const plotly = () => (loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = new URL(`../assets/plotly.min.js?${words.plotly}`, document.baseURI);
    script.onload = () => {
      window.Plotly.register({ moduleType: "locale", name: "page", dictionary: words.plot, format: { decimal: ".", thousands: "," } });
      done(window.Plotly);
    };
    script.onerror = () => failed(new Error("plotly.min.js did not load"));
    document.head.append(script);
  }));

  const settings = {
    responsive: true, displaylogo: false, locale: "page", doubleClick: "reset",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };

  // Names beside sideways bars: Plotly's own margin does not see the width of Persian, and cuts the names.
  function room(spec) {
    const names = spec.series.flatMap((series) => series.y.map(String));
    return Math.min(260, 24 + 7 * Math.max(0, ...names.map((name) => name.length)));
  }

  function layout(labels, extra = {}) {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink-soft").trim(), line = style.getPropertyValue("--line").trim();
    const axis = {
      gridcolor: line, linecolor: line, zeroline: false, automargin: true, tickfont: { size: 12 },
      title: { font: { size: 13 }, standoff: 8 },
    };
    return {
      autosize: true, margin: { l: 52, r: 16, t: 8, b: 40 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { family: "Vazirmatn, system-ui, sans-serif", size: 13, color: ink },
      hovermode: "x unified", showlegend: false, separators: ".,",
      hoverlabel: { bgcolor: style.getPropertyValue("--card").trim(), bordercolor: line, font: { family: "Vazirmatn, sans-serif" } },
      modebar: { bgcolor: "transparent", color: ink, activecolor: style.getPropertyValue("--accent").trim(), orientation: "v" },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 13 } },
      ...extra,
      xaxis: { ...axis, ...extra.xaxis, title: { ...axis.title, text: labels.x ?? "" } },
      yaxis: { ...axis, rangemode: "normal", ...extra.yaxis, title: { text: "" } },
    };
  }

  const palette = () => colours[document.documentElement.dataset.theme === "dark" ? "dark" : "light"];
  const spoken = (value) => new Intl.NumberFormat(locale === "fa" ? "fa-IR" : "en-US", { maximumSignificantDigits: 4 }).format(value);

  // The place keeps the height by itself: at a resize Plotly forgets that of the layout, and would draw into nothing.
  function tall(place, height) {
    place.style.height = `${height}px`;
    return height;
  }

  // Draws again when the theme changes, and when a place that was hidden gets its size.
  function followed(element, draw) {
    const again = () => (element.isConnected ? draw() : studio.theme.removeEventListener("change", again));
    studio.theme.addEventListener("change", again);
    document.fonts?.ready.then(again);
    let width = element.clientWidth;
    new ResizeObserver(() => {
      if (element.clientWidth === width || !element.clientWidth) return;
      width = element.clientWidth;
      for (const plot of element.querySelectorAll(".js-plotly-plot")) window.Plotly.Plots.resize(plot);
    }).observe(element);
  }

  // Plotly reads a little HTML in names and labels.
  const plain = (text) => String(text ?? "").replace(/&/g, "&amp;").replace(/</g, "&lt;");

  // ---- live curves -------------------------------------------------------------------------------------------------
  function smoothed(values, weight) {
    let mean = 0, seen = 0;
    return values.map((value) => {
      mean = weight * mean + (1 - weight) * value;
      seen = weight * seen + (1 - weight);
      return mean / seen; // without this the first steps would be pulled to zero
    });
  }

  function traces(panel, runs, titles, weight, labels) {
    const drawn = [];
    const many = runs.length > 1 || panel.series.filter((name) => runs.some(([, run]) => run.series[name])).length > 1;
    runs.forEach(([id, { series }], atRun) => {
      const run = plain(titles[id] ?? id);
      panel.series.forEach((name, atSeries) => {
        const points = series[name];
        if (!points) return;
        const alone = runs.length === 1;
        const color = palette()[(alone ? atSeries : atRun) % 6];
        const dash = alone || atSeries === 0 ? "solid" : "dot";
        const title = alone ? labels.series[name] : panel.series.length === 1 ? run : `${run} · ${labels.series[name]}`;
        const measured = held.has(name); // at checkpoints only, and exactly: there is no noise to smooth
        const smooth = panel.smooth && !measured && weight > 0;
        if (smooth) drawn.push({ x: points.x, y: points.y, mode: "lines", line: { color, width: 1 }, opacity: 0.28, hoverinfo: "skip", showlegend: false });
        drawn.push({
          x: points.x, y: smooth ? smoothed(points.y, weight) : points.y, name: title, mode: measured || points.x.length < 3 ? "markers+lines" : "lines",
          line: { color, width: 2, dash }, marker: { color, size: 6 }, showlegend: many,
          hovertemplate: "%{y:.4~g}<extra>%{fullData.name}</extra>",
        });
      });
    });
    return drawn;
  }

  const held = new Set(["held_out_loss", "bits_fa", "bits_en"]);
  const panels = [
    { name: "loss", series: ["loss", "held_out_loss"], smooth: true },
    { name: "grad_norm", series: ["grad_norm", "grad_norm_new"], smooth: true },
    { name: "bits", series: ["bits_fa", "bits_en"], smooth: false },
    { name: "learning_rate", series: ["learning_rate"], smooth: false, small: true },
    { name: "speed", series: ["tokens_per_second", "characters_per_second"], smooth: true, small: true, zero: true },
  ];

  studio.curves = (element, props, watch) => {
    const box = element.querySelector(".curves");
    const labels = props.labels;
    const slider = box.querySelector("input");
    const waiting = box.querySelector(".waiting");
    const places = panels.map((panel) => ({ panel, figure: box.querySelector(`[data-panel=${panel.name}]`) })).filter(({ figure }) => figure);
    let runs = {}, asked = [], titles = {};

    async function draw() {
      const Plotly = await plotly();
      const weight = Number(slider.value) ** 0.5; // the slider's middle should smooth half as strongly as its end
      const here = asked.filter((run) => runs[run]).map((run) => [run, runs[run]]); // as chosen, not as answered
      const known = here.some(([, run]) => Object.keys(run.series).length);
      box.classList.toggle("empty-curves", !known);
      waiting.textContent = asked.length ? labels.waiting : labels.none;
      if (!known) return;
      const starts = new Set(here.map(([, run]) => JSON.stringify(run.stages)));
      const stages = starts.size === 1 ? here[0][1].stages : []; // where runs differ, no line would be true
      const line = getComputedStyle(document.documentElement).getPropertyValue("--line-strong").trim();
      const shapes = stages.slice(1).map(({ start }) => ({
        type: "line", x0: start, x1: start, yref: "paper", y0: 0, y1: 1, line: { color: line, width: 1, dash: "dot" },
      }));
      places.forEach(({ panel, figure }) => {
        const drawn = traces(panel, here, titles, weight, labels);
        figure.hidden = !drawn.length;
        if (!drawn.length) return;
        const last = drawn.findLast((trace) => trace.hoverinfo !== "skip");
        const named = drawn.filter((trace) => trace.showlegend).length;
        figure.querySelector("output").textContent = named ? "" : spoken(last.y.at(-1));
        const place = figure.querySelector(".plot");
        Plotly.react(place, drawn, layout({ x: labels.step }, {
          uirevision: asked.join("\n"), shapes, height: tall(place, (panel.small ? 200 : 300) + (named > 4 ? 22 * named : 0)), // a long legend must not eat the curves
          showlegend: named > 0,
          yaxis: panel.zero ? { rangemode: "tozero" } : panel.series[0] === "learning_rate" ? { tickformat: ".1e", rangemode: "tozero" } : {},
        }), settings);
      });
    }

    async function ask(run) {
      const mine = runs[run];
      const answer = await studio.get("curves", { subject: run, after: mine?.token ?? "" });
      if (answer.unchanged || !asked.includes(run)) return false;
      if (answer.error) { waiting.textContent = answer.error; return false; }
      if (answer.replace || !mine) {
        runs[run] = { token: answer.token, stages: answer.stages, series: answer.series };
        return true;
      }
      mine.token = answer.token;
      mine.stages = answer.stages;
      for (const [name, points] of Object.entries(answer.series)) {
        const old = (mine.series[name] ??= { x: [], y: [] });
        // A worker that went on from a checkpoint repeats steps; what was drawn of them is gone from the run.
        if (old.x.length + points.x.length > most || old.x.at(-1) >= points.x[0]) { mine.token = ""; return ask(run); }
        old.x = old.x.concat(points.x);
        old.y = old.y.concat(points.y);
      }
      return true;
    }

    function choose() {
      const value = props.value ?? "";
      const given = (Array.isArray(value) ? value : [value]).filter(Boolean).map((one) => one.run ? one : { run: one, title: one });
      const wanted = given.map(({ run }) => run);
      const called = Object.fromEntries(given.map(({ run, title }) => [run, title]));
      if (wanted.join("\n") === asked.join("\n") && JSON.stringify(called) === JSON.stringify(titles)) return;
      asked = wanted;
      titles = called;
      runs = Object.fromEntries(wanted.filter((run) => runs[run]).map((run) => [run, runs[run]]));
      draw();
      beat();
    }

    const beat = studio.poll(element, async () => {
      const news = await Promise.all(asked.map(ask));
      if (news.some(Boolean)) await draw();
    });
    slider.addEventListener("input", draw);
    watch("value", choose);
    followed(element, draw);
    choose();
    draw();
  };

  // ---- other figures -----------------------------------------------------------------------------------------------
  studio.figure = (element, props, watch) => {
    const place = element.querySelector(".plot");
    async function draw() {
      const spec = props.value;
      element.querySelector("figure").hidden = !spec;
      if (!spec) return;
      const Plotly = await plotly();
      element.querySelector("figcaption span").textContent = spec.title ?? "";
      element.querySelector(".axis").textContent = spec.sideways ? "" : spec.y ?? "";
      const shade = getComputedStyle(document.documentElement).getPropertyValue("--ink-soft").trim();
      const drawn = spec.series.map((series, at) => {
        const color = palette()[at % 6];
        const common = { x: series.x, y: series.y, name: plain(series.name), hovertemplate: `%{${spec.sideways ? "x" : "y"}}<extra>%{fullData.name}</extra>` };
        return spec.kind === "lines"
          ? { ...common, mode: series.x.length < 40 ? "lines+markers" : "lines", line: { color, width: 2 }, marker: { color, size: 6 } }
          : { ...common, type: "bar", width: series.width, orientation: spec.sideways ? "h" : "v", marker: { color } };
      });
      const marks = spec.marks ?? [];
      Plotly.react(place, drawn, layout(spec, {
        uirevision: spec.title ?? "figure", height: tall(place, spec.height ?? 280), bargap: 0.12, showlegend: spec.series.length > 1,
        hovermode: spec.sideways ? "y unified" : "x unified",
        shapes: marks.map(({ x }) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: shade, width: 2, dash: "dash" } })),
        annotations: marks.map(({ x, text }) => ({ x, y: 1, yref: "paper", text: plain(text), showarrow: false, xanchor: "left", yanchor: "top", xshift: 6 })),
        yaxis: spec.sideways ? { autorange: "reversed" } : { rangemode: "tozero" },
        ...(spec.sideways ? { margin: { l: room(spec), r: 16, t: 8, b: 40 } } : {}),
      }), settings);
    }
    watch("value", draw);
    followed(element, draw);
    draw();
  };
})();

// The page around Gradio: switches, the tab in the address, and pieces that stay fresh.
(() => {
  const studio = window.studio;
  const words = window.studioWords;
  const locale = document.documentElement.lang;
  const every = 2000, everyHidden = 10000;

  // ---- switches and tabs -------------------------------------------------------------------------------------------
  const tabButton = (key) => document.getElementById(`tab-${key}-button`);
  const openTab = () => document.querySelector('#journey [role="tab"][aria-selected="true"]')?.dataset.tabId;

  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("[data-theme-switch], [data-language-switch], [data-go]");
    if (!target) return;
    if (target.dataset.go) {
      tabButton(target.dataset.go)?.click();
      window.scrollTo({ top: 0 });
    } else if (target.dataset.languageSwitch) {
      event.preventDefault();
      location.href = new URL(`../${target.dataset.languageSwitch}/${location.search}`, document.baseURI);
    } else studio.switchTheme();
  });
  studio.go = (key) => tabButton(key)?.click();

  // What becomes of the text of a card: one that comes after somebody has begun to type stays outside.
  studio.card = (arrived, shown, text) => {
    const [card, fresh, written] = JSON.parse(arrived);
    return text === written ? [card, fresh] : [text, shown];
  };

  function keepTab() {
    const key = openTab();
    if (!key) return;
    const address = new URL(location.href);
    if (address.searchParams.get("tab") !== key) {
      address.searchParams.set("tab", key);
      history.replaceState(history.state, "", address);
    }
    const button = tabButton(key);
    const bar = button?.parentElement;
    if (bar && bar.scrollWidth > bar.clientWidth) button.scrollIntoView({ block: "nearest", inline: "center" });
  }

  function markTabs() {
    for (const mark of document.querySelectorAll("[data-tab-state]")) {
      tabButton(mark.dataset.tab)?.setAttribute("data-state", mark.dataset.tabState);
    }
  }

  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('#journey [role="tab"]');
    const ahead = document.documentElement.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
    const step = event.key === ahead ? 1 : ["ArrowLeft", "ArrowRight"].includes(event.key) ? -1 : 0;
    if (!tab || !step) return;
    const tabs = [...document.querySelectorAll('#journey [role="tab"]:not([disabled])')];
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    next.click();
    next.focus();
  });

  new MutationObserver((changes) => {
    if (changes.some((change) => change.attributeName === "aria-selected")) keepTab();
    if (changes.some((change) => change.type === "childList")) {
      if (document.querySelector("#journey [role=tab]")) keepTab();
      localizeToasts();
      turnBlocks();
    }
  }).observe(document.documentElement, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"] });

  // Gradio titles a toast with its kind in English, whatever title a handler gives.
  function localizeToasts() {
    for (const toast of document.querySelectorAll('[data-testid="toast-body"]:not([data-said])')) {
      toast.dataset.said = "";
      const kind = Object.keys(words.toasts).find((kind) => toast.classList.contains(kind));
      const title = toast.querySelector(".toast-title")?.firstChild;
      if (kind && title) title.nodeValue = `${words.toasts[kind]} `;
      toast.querySelector('[data-testid="toast-close"]')?.setAttribute("aria-label", words.close);
    }
  }

  // A paragraph finds its direction line by line (studio.css); where the marks of a list, the first column of a table or
  // the bar of a quotation stand is a matter of the whole block.
  function turnBlocks() {
    for (const block of document.querySelectorAll(".side .message :is(ul, ol, table, blockquote):not([dir])")) block.dir = "auto";
  }

  // ---- uploads -----------------------------------------------------------------------------------------------------
  // A file over the limit is refused before a byte of it travels; Gradio would say so in English after the fact.
  function refuseLarge(event) {
    const place = event.target.closest?.(".gradio-container .block");
    const files = event.type === "drop" ? event.dataTransfer?.files : event.target.files;
    if (!place || ![...(files ?? [])].some((file) => file.size > words.uploadLimit)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === "change") event.target.value = "";
    place.parentElement.querySelector(".too-large")?.remove();
    const notice = Object.assign(document.createElement("p"), { className: "too-large", textContent: words.tooLarge });
    notice.setAttribute("role", "alert");
    place.after(notice);
  }
  for (const kind of ["change", "drop"]) document.addEventListener(kind, refuseLarge, true);

  // ---- pieces that stay fresh --------------------------------------------------------------------------------------
  let failures = 0;
  function connected(fine) {
    failures = fine ? 0 : failures + 1;
    let notice = document.getElementById("lost");
    if (failures < 2) return notice?.remove();
    if (notice) return;
    notice = Object.assign(document.createElement("div"), { id: "lost", textContent: words.lost });
    notice.setAttribute("role", "status");
    document.body.append(notice);
  }

  studio.get = async (name, question) => {
    const address = new URL(`../live/${name}`, document.baseURI);
    for (const [key, value] of Object.entries({ locale, ...question })) address.searchParams.set(key, value ?? "");
    try {
      const answer = await fetch(address, { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(`${answer.status} from ${address.pathname}`);
      connected(true);
      return await answer.json();
    } catch (error) {
      connected(false);
      throw error;
    }
  };

  // Calls `ask` now and then every two seconds while `element` can be seen; returns a function that asks at once.
  studio.poll = (element, ask, pause = every) => {
    let timer = 0, busy = false, again = false;
    async function beat() {
      clearTimeout(timer);
      if (!element.isConnected) return document.removeEventListener("visibilitychange", onSight);
      if (busy) { again = true; return; }
      if (element.checkVisibility()) {
        busy = true;
        try { await ask(); } catch (error) { console.warn(error.message); }
        busy = false;
      }
      timer = setTimeout(beat, again ? 0 : document.hidden ? Math.max(pause, everyHidden) : pause);
      again = false;
    }
    const onSight = () => { if (!document.hidden) beat(); };
    document.addEventListener("visibilitychange", onSight);
    new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) beat(); }).observe(element);
    beat();
    return beat;
  };

  studio.pulse = (element, tick, pause) => studio.poll(element, tick, pause);

  studio.panel = (element, props, watch, name) => {
    const box = element.querySelector(".live");
    let token = "", shown = null;
    const ask = studio.poll(element, async () => {
      const subject = props.value ?? "";
      if (subject !== shown) token = "";
      const answer = await studio.get(name, { subject, after: token });
      if (subject !== (props.value ?? "") || answer.unchanged) return;
      const selection = getSelection();
      if (!selection.isCollapsed && box.contains(selection.anchorNode) && subject === shown) return; // being copied
      token = answer.token;
      shown = subject;
      if (answer.error) {
        box.replaceChildren(Object.assign(document.createElement("p"), { className: "soft", textContent: answer.error }));
      } else replace(box, answer.html);
      markTabs();
    });
    watch("value", ask);
  };

  // A file that a handler made of text: the browser saves it.
  studio.saver = (element, props, watch) => watch("value", () => {
    if (!props.value) return;
    const { name, kind, text } = JSON.parse(props.value);
    const address = URL.createObjectURL(new Blob([text], { type: kind }));
    Object.assign(document.createElement("a"), { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  });

  // ---- a notice at the end of a job, where a person asked for it ---------------------------------------------------
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private windows keep nothing */ } };
  const canNotify = "Notification" in window;
  const notifies = () => canNotify && Notification.permission === "granted" && kept("notify") === "on";
  let turn = 0;

  // Goes on in a hidden tab, where browsers slow the clock down to once a minute.
  async function hearOfEndings() {
    const mine = ++turn;
    let known = null, token = "";
    while (mine === turn && notifies()) {
      try {
        const answer = await studio.get("ended", { after: token });
        if (mine === turn && answer.html !== undefined) {
          token = answer.token;
          const ends = [...new DOMParser().parseFromString(answer.html, "text/html").querySelectorAll("[data-end]")];
          for (const end of known ? ends.reverse() : []) if (!known.has(end.dataset.end)) notify(end);
          known = new Set([...(known ?? []), ...ends.map((end) => end.dataset.end)]);
        }
      } catch (error) { console.warn(error.message); }
      await new Promise((wake) => setTimeout(wake, document.hidden ? everyHidden : every));
    }
  }

  function notify(end) {
    // Two open pages give the same tag, and the browser shows one notice.
    const options = { body: end.textContent, tag: `job-${end.dataset.end}`, lang: locale, dir: document.documentElement.dir };
    const notice = new Notification(document.title, options);
    notice.onclick = () => { window.focus(); studio.go("jobs"); notice.close(); };
  }

  studio.noticeSwitch = (element) => {
    const button = element.querySelector("button"), said = element.querySelector("p");
    const show = () => {
      const permission = canNotify ? Notification.permission : "unable";
      const dismissed = permission === "default" && kept("notify-asked");
      button.setAttribute("aria-checked", notifies());
      button.disabled = ["unable", "denied"].includes(permission);
      said.textContent = words.notify[dismissed ? "dismissed" : permission] ?? "";
    };
    button.addEventListener("click", async () => {
      keep("notify", notifies() ? "off" : "on");
      if (Notification.permission === "default" && !kept("notify-asked")) {
        keep("notify-asked", "yes"); // a person who closed the question is not asked again
        await Notification.requestPermission();
      }
      show();
      hearOfEndings();
    });
    show();
  };
  hearOfEndings();

  function replace(box, html) {
    const before = [...box.querySelectorAll("[data-follow]")].map((log) => ({
      top: log.scrollTop, left: log.scrollLeft, end: log.scrollTop + log.clientHeight >= log.scrollHeight - 8,
    }));
    const open = [...box.querySelectorAll("details")].map((details) => details.open);
    box.innerHTML = html;
    box.querySelectorAll("[data-follow]").forEach((log, at) => {
      const old = before[at];
      log.scrollTop = !old || old.end ? log.scrollHeight : old.top;
      log.scrollLeft = old ? old.left : 0;
    });
    box.querySelectorAll("details").forEach((details, at) => { if (open[at]) details.open = true; });
  }
})();

// Runs before Gradio: the page's language and theme win over the browser's, and the tab in the address is opened at once.
(() => {
  const root = document.documentElement;
  const tag = { fa: "fa-IR", en: "en-US" }[root.lang];
  // Gradio words its own parts («drop a file here») by navigator.language.
  Object.defineProperty(navigator, "language", { get: () => tag });
  Object.defineProperty(navigator, "languages", { get: () => [tag, root.lang] });

  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const dark = () => (kept() ? kept() === "dark" : system.matches);
  const theme = new EventTarget();
  Object.defineProperties(theme, {
    matches: { get: dark },
    media: { value: system.media },
    addListener: { value: (heard) => theme.addEventListener("change", heard) },
    removeListener: { value: (heard) => theme.removeEventListener("change", heard) },
  });
  const show = () => {
    root.dataset.theme = dark() ? "dark" : "light";
    theme.dispatchEvent(new Event("change"));
  };
  system.addEventListener("change", show);
  // Gradio follows the system's wish for dark; we answer in its name, so that our switch needs no reload.
  const asked = window.matchMedia.bind(window);
  window.matchMedia = (query) => (query === "(prefers-color-scheme: dark)" ? theme : asked(query));
  window.studio = {
    theme,
    switchTheme() {
      try { localStorage.setItem("theme", dark() ? "light" : "dark"); } catch { /* private windows keep nothing */ }
      show();
    },
  };
  show();

  const tab = new URLSearchParams(location.search).get("tab");
  const parts = (window.gradio_config && window.gradio_config.components) || [];
  const journey = parts.find((part) => part.props && part.props.elem_id === "journey");
  if (tab && journey && parts.some((part) => part.props && part.props.elem_id === "tab-" + tab)) journey.props.selected = tab;
})();

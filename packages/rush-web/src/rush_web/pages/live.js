
// Live reload: news of saved files; the connection comes back by itself after a restart.
(() => {
  let version = document.currentScript.dataset.version;
  const source = new EventSource("/_rush/live");
  source.addEventListener("version", (event) => {
    if (version !== event.data) location.reload();
    version = event.data;
  });
  source.addEventListener("reload", () => location.reload());
  source.addEventListener("style", (event) => {
    const names = JSON.parse(event.data);
    const name = (link) => decodeURIComponent(new URL(link.href).pathname.split("/").pop());
    const all = [...document.querySelectorAll('link[rel~="stylesheet"][href]')];
    const links = all.filter((link) =>
      new URL(link.href).origin === location.origin && names.includes(name(link)));
    if (!links.length) location.reload();  // one that another imports
    for (const link of links) {
      const next = link.cloneNode();
      const url = new URL(link.href);
      url.searchParams.set("_rush", Date.now());
      next.href = url;
      next.onload = () => link.remove();  // only now: the page is never without a style
      next.onerror = () => next.remove();
      link.after(next);
    }
  });
  source.addEventListener("trouble", (event) => {
    document.querySelector("rush-trouble")?.remove();
    // In a tree of its own: the page's style does not reach it, nor its style the page.
    const banner = document.createElement("rush-trouble");
    const root = banner.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();  // a policy of the page that allows no style allows this
    sheet.replaceSync(`
      :host { position: fixed; inset: auto 0 0 0; z-index: 2147483647; color-scheme: dark; }
      section { background: #3a1512; color: #fff; border-top: 4px solid #ff8f83;
        font: 15px/1.5 system-ui, sans-serif; padding: .8rem 1.2rem; max-height: 60vh;
        overflow: auto; box-shadow: 0 -6px 24px #0006; }
      h2 { font-size: 1rem; margin: 0; padding-right: 2.5rem; overflow-wrap: anywhere; }
      p { margin: .2rem 0 0; color: #f3cfcb; }
      pre { font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; margin: .6rem 0 0;
        overflow-x: auto; }
      button { position: absolute; top: .6rem; right: .9rem; font: inherit; color: inherit;
        background: none; border: 1px solid #ffffff80; border-radius: 5px; cursor: pointer;
        width: 2rem; height: 2rem; }
      :focus-visible { outline: 3px solid #ffb4ab; outline-offset: 2px; }`);
    root.adoptedStyleSheets = [sheet];
    const add = (parent, kind, text = "") => {
      const element = parent.appendChild(document.createElement(kind));
      element.textContent = text;  // text, whatever is in it
      return element;
    };
    const section = add(root, "section");
    section.setAttribute("role", "alert");
    const lines = event.data.trimEnd().split("\n");
    add(section, "h2", lines.at(-1));
    add(section, "p", "This page is of the version before. The next save tries again.");
    if (lines.length > 1) add(section, "pre", lines.slice(0, -1).join("\n")).tabIndex = 0;
    const close = add(section, "button", "\u00d7");
    close.setAttribute("aria-label", "Close");
    close.onclick = () => banner.remove();
    document.documentElement.append(banner);
  });
  addEventListener("pagehide", () => source.close());
})();

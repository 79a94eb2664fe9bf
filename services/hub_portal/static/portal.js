// Small comforts. Every page works without this script: it only updates live parts, writes times in the reader's
// zone, and asks in a dialog what would otherwise be asked on a page of its own.
(() => {
  "use strict";
  document.documentElement.classList.add("js");

  const writeTimes = (root) => {
    for (const time of root.querySelectorAll("time[data-local-time]")) {
      const moment = new Date(time.dateTime);
      time.textContent = moment.toLocaleTimeString([], {
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
      });
      time.title = moment.toLocaleString();
    }
    for (const time of root.querySelectorAll("time[data-local-moment]")) {
      const moment = new Date(time.dateTime);
      time.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      time.title = time.dateTime;
    }
  };

  const isLive = (element) => element instanceof Element && element.hasAttribute("data-live");

  const isSelectingIn = (element) => {
    const selection = window.getSelection();
    return selection && !selection.isCollapsed && element.contains(selection.anchorNode);
  };

  // A page that nobody sees asks for nothing, and text that someone is selecting stays.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (isLive(element) && (document.hidden || isSelectingIn(element))) {
      event.preventDefault();
    }
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !window.htmx) {
      return;
    }
    for (const element of document.querySelectorAll("[data-live]")) {
      window.htmx.ajax("GET", element.getAttribute("hx-get"), { source: element, target: element });
    }
  });

  // Tables that were scrolled sideways stay where they are when their numbers change.
  const scrolled = new Map();
  document.addEventListener("htmx:beforeSwap", (event) => {
    for (const table of event.detail.target.querySelectorAll(".table-responsive[id]")) {
      scrolled.set(table.id, table.scrollLeft);
    }
  });

  const offline = (isOffline) => {
    const note = document.getElementById("offline");
    if (note) {
      note.hidden = !isOffline;
    }
  };

  document.addEventListener("htmx:afterSwap", (event) => {
    const target = event.detail.target;
    writeTimes(target);
    for (const table of target.querySelectorAll(".table-responsive[id]")) {
      table.scrollLeft = scrolled.get(table.id) || 0;
    }
    if (target.id === "dialog" && !target.open) {
      target.showModal();
    }
    offline(false);
  });
  // After a change the keyboard goes on where the page says, first of all at what has to be corrected.
  const goOn = (added) => {
    if (!(added instanceof Element)) {
      return;
    }
    const find = (selector) => (added.matches(selector) ? added : added.querySelector(selector));
    const next = find("[aria-invalid='true']") || find("[data-focus]");
    if (next) {
      next.focus();
    }
    const heard = find("[data-said]");
    if (heard) {
      document.getElementById("heard").textContent = heard.textContent.trim();
    }
    writeTimes(added);
  };
  document.addEventListener("htmx:afterSwap", (event) => goOn(event.target));

  // What a button stood for is gone with it: the keyboard goes on at the list that it was in.
  document.addEventListener("htmx:afterSettle", (event) => {
    const list = event.detail.elt;
    if (document.activeElement === document.body && list instanceof Element && list.id) {
      document.getElementById(list.id)?.focus();
    }
  });

  const refuse = (form, text) => {
    const note = document.createElement("p");
    Object.assign(note, { className: "alert alert-warning problem", tabIndex: -1, textContent: text });
    note.setAttribute("role", "alert");
    note.dataset.refused = "";
    form.querySelector("[data-refused]")?.remove();
    form.prepend(note);
    note.focus();
  };

  let saidUntil = 0;
  const say = (text) => {
    const said = document.getElementById("said");
    said.textContent = text;
    clearTimeout(saidUntil);
    saidUntil = setTimeout(() => {
      said.textContent = "";
    }, 12000);
  };
  document.addEventListener("portal-said", (event) => say(event.detail.value));
  document.addEventListener("portal-close", () => document.getElementById("dialog").close());

  document.addEventListener("htmx:sendError", () => offline(true));
  document.addEventListener("htmx:timeout", () => offline(true));
  document.addEventListener("htmx:responseError", (event) => {
    const link = event.detail.elt;
    if (link instanceof HTMLAnchorElement) {
      // The page behind the link says in full why there is no dialog.
      window.location.assign(link.href);
      return;
    }
    if (link instanceof HTMLFormElement) {
      // What was typed stays; why it was not taken stands above it, as text.
      const answer = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
      refuse(link, answer.body.textContent.replace(/\s+/g, " ").trim());
      return;
    }
    offline(true);
  });

  document.addEventListener("click", (event) => {
    const closer = event.target instanceof Element ? event.target.closest("dialog [data-close]") : null;
    if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
    }
  });

  // A form that ends something is sent once.
  document.addEventListener("submit", (event) => {
    if (!event.target.hasAttribute("data-once")) {
      return;
    }
    const button = event.target.querySelector("button[type=submit]");
    button.disabled = true;
    button.textContent = "Stopping…";
  });

  writeTimes(document);
})();

// The pages about limits: who is selected while one turns pages, and Esc in an open form. Without this script
// everything still works, page by page.
(() => {
  "use strict";

  // The same value as a ticked box has: revision and name. Kept by name, since the revision changes with a save.
  const chosen = new Map();
  const nameOf = (value) => value.slice(value.indexOf(":") + 1);
  const boxes = () => document.querySelectorAll('#limits-table input[name="user"]');
  const form = () => document.getElementById("selection");

  // The choice outlives a reload, in this tab.
  const KEPT = "portal-chosen";
  const remember = () => {
    try {
      sessionStorage.setItem(KEPT, JSON.stringify([...chosen.values()]));
    } catch {
      // A browser that keeps nothing: the choice ends with the page.
    }
  };
  const recall = () => {
    try {
      for (const value of JSON.parse(sessionStorage.getItem(KEPT) || "[]")) {
        chosen.set(nameOf(value), value);
      }
    } catch {
      // Somebody else's text in the store.
    }
  };

  // A box in the table's head for all of this page.
  const showHead = () => {
    const head = document.querySelector("#limits-table [data-all-here]");
    if (!head) {
      return;
    }
    let box = head.querySelector("input");
    if (!box) {
      box = document.createElement("input");
      Object.assign(box, { type: "checkbox", id: "select-here", className: "form-check-input" });
      box.setAttribute("aria-label", "Select all on this page");
      head.prepend(box, " ");
    }
    const ticked = [...boxes()].filter((one) => one.checked).length;
    box.checked = ticked > 0 && ticked === boxes().length;
    box.indeterminate = ticked > 0 && !box.checked;
  };

  const show = () => {
    if (!form()) {
      return;
    }
    remember();
    showHead();
    const number = chosen.size;
    document.getElementById("selection-count").textContent = number ? `${number} selected` : "";
    document.getElementById("selection-clear").hidden = !number;
    document.getElementById("selection-edit").disabled = !number;
    const here = new Set([...boxes()].map((box) => nameOf(box.value)));
    const kept = document.getElementById("selection-kept");
    kept.replaceChildren();
    for (const [name, value] of chosen) {
      if (!here.has(name)) {
        const input = document.createElement("input");
        Object.assign(input, { type: "hidden", name: "user", value });
        kept.append(input);
      }
    }
  };

  const tick = () => {
    for (const box of boxes()) {
      const name = nameOf(box.value);
      box.checked = chosen.has(name);
      if (box.checked) {
        chosen.set(name, box.value);
      }
    }
    show();
  };

  const selectFound = async (address) => {
    const headers = JSON.parse(document.getElementById("main").getAttribute("hx-headers"));
    const answer = await fetch(address, { credentials: "same-origin", headers });
    if (!answer.ok) {
      window.location.reload();
      return;
    }
    for (const value of await answer.json()) {
      chosen.set(nameOf(value), value);
    }
    tick();
  };

  const clear = () => {
    chosen.clear();
    tick();
  };

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box instanceof HTMLInputElement && box.id === "select-here") {
      for (const one of boxes()) {
        one.checked = box.checked;
        if (box.checked) {
          chosen.set(nameOf(one.value), one.value);
        } else {
          chosen.delete(nameOf(one.value));
        }
      }
      show();
      return;
    }
    if (!(box instanceof HTMLInputElement) || box.name !== "user" || box.type !== "checkbox") {
      return;
    }
    if (box.checked) {
      chosen.set(nameOf(box.value), box.value);
    } else {
      chosen.delete(nameOf(box.value));
    }
    show();
  });

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const all = target?.closest("#select-found");
    if (all) {
      selectFound(all.dataset.names);
      return;
    }
    if (target?.closest("#selection-clear")) {
      clear();
      return;
    }
    const emptier = target?.closest("[data-empties]");
    const box = emptier && window.htmx ? document.querySelector(emptier.dataset.empties) : null;
    if (box && form()) {
      event.preventDefault();
      box.replaceChildren();
      document.getElementById("selection-edit").focus();
    }
  });

  // Something was typed that is not saved: by what the fields were when they came, or because the page says so.
  const isField = (field) =>
    field.type !== "hidden" && (field instanceof HTMLInputElement || field instanceof HTMLSelectElement);
  const differs = (field) =>
    field instanceof HTMLSelectElement
      ? [...field.options].some((option) => option.selected !== option.defaultSelected)
      : field.value !== field.defaultValue;
  const isTyped = (editor) => "typed" in editor.dataset || [...editor.elements].filter(isField).some(differs);
  const mayDrop = (editors) =>
    ![...editors].some(isTyped) || window.confirm("Drop what you have typed and not saved?");
  const openEditors = () => document.querySelectorAll("#limits-table [data-editor]");

  document.addEventListener("keydown", (event) => {
    const editor = event.target instanceof Element ? event.target.closest("[data-editor]") : null;
    if (event.key === "Escape" && editor) {
      event.preventDefault();
      if (mayDrop([editor])) {
        editor.querySelector("[data-cancel]").click();
      }
    }
  });

  // Another part of the table takes the place of open lines; the same part, asked for anew, keeps them.
  const isRefresh = (detail) => detail.requestConfig?.elt?.id === "limits-table";
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { target, elt } = event.detail;
    if (target?.id === "limits-table" && elt.id !== "limits-table" && !mayDrop(openEditors())) {
      event.preventDefault();
    }
  });

  const kept = new Map();
  let focused = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id !== "limits-table" || !isRefresh(event.detail) || !event.detail.shouldSwap) {
      return;
    }
    focused = document.activeElement;
    for (const row of document.querySelectorAll("#limits-table .subject.editing")) {
      kept.set(row.querySelector(".name").textContent, row);
      row.remove();
    }
  });
  const putBack = () => {
    for (const row of document.querySelectorAll("#limits-table .subject")) {
      const open = kept.get(row.querySelector(".name")?.textContent);
      if (open) {
        row.replaceWith(open);
      }
    }
    if (kept.size && focused && document.contains(focused)) {
      focused.focus();
    }
    kept.clear();
  };

  // The next page is read from its top.
  document.addEventListener("htmx:afterSettle", (event) => {
    const asked = event.detail.requestConfig?.elt;
    const table = document.getElementById("people-scroll");
    if (asked instanceof Element && table && asked.closest("nav.pager")) {
      table.focus({ preventScroll: true });
      table.scrollIntoView({ block: "start" });
    }
  });

  // What is typed belongs to an own value.
  document.addEventListener("input", (event) => {
    const text = event.target;
    if (text instanceof HTMLInputElement && text.name.startsWith("text.") && text.value) {
      const choice = text.closest(".limit-inputs").querySelector("select");
      choice.value = "value";
    }
  });

  document.addEventListener("change", (event) => {
    const choice = event.target;
    if (
      choice instanceof HTMLSelectElement &&
      choice.name.startsWith("choice.") &&
      choice.value === "value"
    ) {
      choice.closest(".limit-inputs").querySelector("input").focus();
    }
  });

  document.addEventListener("htmx:afterSwap", () => {
    putBack();
    tick();
  });
  document.addEventListener("limits-batch-saved", clear);
  // A browser that goes back fills boxes again.
  for (const box of boxes()) {
    if (box.checked) {
      chosen.set(nameOf(box.value), box.value);
    }
  }
  if (form()) {
    recall();
    tick();
  }
})();

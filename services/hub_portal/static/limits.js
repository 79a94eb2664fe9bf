// The pages about limits: who is selected while one turns pages, and Esc in an open form. Without this script
// everything still works, page by page.
(() => {
  "use strict";

  // The same value as a ticked box has: revision and name. Kept by name, since the revision changes with a save.
  const chosen = new Map();
  const nameOf = (value) => value.slice(value.indexOf(":") + 1);
  const boxes = () => document.querySelectorAll('#limits-table input[name="user"]');
  const form = () => document.getElementById("selection");

  const show = () => {
    if (!form()) {
      return;
    }
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

  const clear = () => {
    chosen.clear();
    tick();
  };

  document.addEventListener("change", (event) => {
    const box = event.target;
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

  document.addEventListener("keydown", (event) => {
    const editor = event.target instanceof Element ? event.target.closest("[data-editor]") : null;
    if (event.key === "Escape" && editor) {
      event.preventDefault();
      editor.querySelector("[data-cancel]").click();
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

  document.addEventListener("htmx:afterSwap", tick);
  document.addEventListener("limits-batch-saved", clear);
  // A browser that goes back fills boxes again.
  for (const box of boxes()) {
    if (box.checked) {
      chosen.set(nameOf(box.value), box.value);
    }
  }
  show();
})();

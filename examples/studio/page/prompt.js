// The prompt: pictures and texts in an order that people choose.
import {element} from "./element.js";

/** Parts are {text} or {picture: data URL, name}. `changed` is called after each change. */
export class Prompt {
  constructor(list, limits, changed, failed) {
    Object.assign(this, {list, limits, changed, failed, parts: [], dragged: null});
  }

  addText(text = "", focus = true) {
    this.parts.push({text});
    this.draw();
    if (focus) this.list.lastElementChild.querySelector("textarea").focus();
  }
  addPicture(picture, name) {
    if (this.pictures().length >= this.limits.pictures)
      return this.failed(`A prompt has at most ${this.limits.pictures} pictures.`);
    this.parts.push({picture, name});
    this.draw();
  }
  async addFiles(files) {
    for (const file of files) {
      if (!file.type.startsWith("image/")) {
        this.failed(`${file.name} is no picture.`);
      } else if (file.size > this.limits.picture_bytes) {
        this.failed(`${file.name} has ${(file.size / 2 ** 20).toFixed(1)} MB, more than the server takes.`);
      } else {
        this.addPicture(await dataUrl(file), file.name || "pasted picture");
      }
    }
  }
  pictures() {
    return this.parts.filter((part) => part.picture);
  }
  asked() {
    return this.parts.filter((part) => part.picture || part.text)
      .map((part) => part.picture ? {picture: part.picture} : {text: part.text});
  }

  move(from, to) {
    if (to < 0 || to >= this.parts.length || from === to) return;
    this.parts.splice(to, 0, ...this.parts.splice(from, 1));
    this.draw();
  }
  remove(at) {
    this.parts.splice(at, 1);
    this.draw();
  }

  draw() {
    this.list.replaceChildren(...this.parts.map((part, at) => this.row(part, at)));
    this.changed();
  }
  row(part, at) {
    const named = part.picture ? `picture ${part.name}` : `text ${at + 1}`;
    const tool = (sign, what, does, off, to = at) => {
      const button = element("button", {type: "button", textContent: sign, title: what, disabled: off});
      button.setAttribute("aria-label", `${what}: ${named}`);
      button.addEventListener("click", () => {
        does();
        this.focus(to, what);
      });
      return button;
    };
    const body = element("div", {className: "body"});
    if (part.picture) {
      body.append(element("img", {src: part.picture, alt: ""}), element("span", {className: "name", textContent: part.name}));
    } else {
      const area = element("textarea", {value: part.text, rows: 1, placeholder: "Text"});
      area.setAttribute("aria-label", named);
      area.addEventListener("input", () => {
        part.text = area.value;
        this.changed();
      });
      body.append(area);
    }
    const grip = element("span", {className: "grip", textContent: "⠿", title: "Drag to another place"});
    grip.setAttribute("aria-hidden", "true");
    const row = element("li", {className: "part"}, grip, body, element("div", {className: "tools"},
      tool("↑", "Move up", () => this.move(at, at - 1), at === 0, at - 1),
      tool("↓", "Move down", () => this.move(at, at + 1), at === this.parts.length - 1, at + 1),
      tool("✕", "Remove", () => this.remove(at), false)));
    grip.addEventListener("pointerdown", () => { row.draggable = true; });
    grip.addEventListener("pointerup", () => { row.draggable = false; });
    row.addEventListener("dragstart", (event) => {
      this.dragged = at;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", String(at));
      row.classList.add("dragged");
    });
    row.addEventListener("dragend", () => {
      this.dragged = null;
      this.draw();
    });
    row.addEventListener("dragover", (event) => {
      if (this.dragged === null) return;
      event.preventDefault();
      row.classList.add("over");
    });
    row.addEventListener("dragleave", () => row.classList.remove("over"));
    row.addEventListener("drop", (event) => {
      if (this.dragged === null) return;
      event.preventDefault();
      event.stopPropagation();
      const from = this.dragged;
      this.dragged = null;
      this.move(from, at);
    });
    return row;
  }
  /** Who moves a part by keys stays at its button, or at one beside it. */
  focus(at, what) {
    const tools = [...(this.list.children[at] ?? this.list.lastElementChild)?.querySelectorAll("button") ?? []];
    (tools.find((button) => button.title === what && !button.disabled) ?? tools.find((button) => !button.disabled))?.focus();
  }
}

export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

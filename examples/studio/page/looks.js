// Where a token looked, laid over the pictures that it saw.
import {element, the} from "./element.js";
import {get} from "./server.js";

export class Looks {
  constructor(about) {
    this.about = about;
    const choices = (select, all, one, count) => select.append(
      new Option(all, ""), ...Array.from({length: count}, (_, i) => new Option(`${one} ${i + 1}`, i)));
    choices(the("block"), "all layers", "layer", about.blocks);
    choices(the("head"), "all heads", "head", about.heads);
    the("looks-choice").hidden = the("looks-help").hidden = !about.looks;
    for (const id of ["block", "head"]) the(id).addEventListener("change", () => this.fetch());
  }

  /** Another answer: its pictures, without heat yet. */
  begin(pictures) {
    Object.assign(this, {run: null, known: new Map(), tokens: null, at: null});
    the("looks").replaceChildren(...pictures.map(({picture, name}, at) => {
      const view = element("div", {className: "view"}, element("img", {src: picture, alt: name, onload: () => this.draw()}),
        element("canvas"));
      return element("figure", {}, view, element("figcaption", {textContent: `${at + 1}. ${name}`, title: name}));
    }));
    this.note(!this.about.looks ? "This model does not tell where it looked."
      : pictures.length ? "Where it looked is computed when the answer is whole." : "There is no picture to look at.");
    this.draw();
  }
  /** The answer is whole. */
  async end(run) {
    if (!this.about.looks || the("looks").children.length === 0) return;
    this.run = run;
    await this.fetch();
  }
  async fetch() {
    if (!this.run) return;
    const query = new URLSearchParams({run: this.run});
    for (const id of ["block", "head"]) if (the(id).value !== "") query.set(id, the(id).value);
    const key = query.toString();
    try {
      if (!this.known.has(key)) this.known.set(key, (await get(`/studio/attention?${key}`)).tokens);
      this.tokens = this.known.get(key);
      this.draw();
    } catch (error) {
      this.note(error.message);
    }
  }
  show(at) {
    this.at = at;
    this.draw();
  }

  note(text) {
    the("looks-note").textContent = text;
    the("looks-note").hidden = text === "";
  }
  draw() {
    const figures = [...the("looks").children];
    const seen = this.tokens && this.at !== null ? this.tokens[this.at] ?? [] : null;
    if (seen) this.note(seen.length || !figures.length ? "" : "This token saw none of these pictures.");
    figures.forEach((figure, picture) => {
      const heat = seen?.find((entry) => entry.picture === picture)?.heat;
      figure.classList.toggle("unseen", Boolean(seen) && !heat);
      this.paint(figure, heat);
    });
  }
  /** Cells as a small picture, which the browser enlarges smoothly, over the square that the encoder saw. */
  paint(figure, heat) {
    const [width, height] = this.about.grid, canvas = figure.querySelector("canvas"), image = figure.querySelector("img");
    Object.assign(canvas, {width, height});
    if (!heat) return;
    const pixels = new ImageData(width, height);
    heat.forEach((value, cell) => {
      const v = value / 255;
      pixels.data.set([255, Math.round(200 * (1 - v)), 0, Math.round(255 * 0.78 * v)], 4 * cell);
    });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    const longer = Math.max(image.naturalWidth, image.naturalHeight) || 1;
    const wide = image.naturalWidth / longer || 1, high = image.naturalHeight / longer || 1;
    const [w, h] = this.about.fit === "pad" ? [1, 1] : this.about.fit === "crop" ? [Math.min(wide, high), Math.min(wide, high)]
      : [wide, high];
    Object.assign(canvas.style, {left: `${50 * (1 - w)}%`, top: `${50 * (1 - h)}%`, width: `${100 * w}%`, height: `${100 * h}%`});
  }
}

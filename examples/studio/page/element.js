/** An element with properties and children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const the = (id) => document.getElementById(id);

/** A token's text so that its spaces and lines are seen. */
export function shown(text) {
  return text === "" ? "∅" : text.replaceAll("\n", "⏎\n").replaceAll("\t", "⇥");
}
export function percent(p) {
  return p >= 0.9995 ? "100 %" : p >= 0.1 ? `${(100 * p).toFixed(1)} %` : p >= 0.0001 ? `${(100 * p).toFixed(2)} %` : "< 0.01 %";
}

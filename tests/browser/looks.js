// What is wrong with how a page looks, told as {kind: [sentences]}. Run in the page by tests/browser/looking.py.
() => {
  const wrong = { scroll: [], clipped: [], overlap: [], small: [], moving: [], kept: [] };
  const tell = (kind, what) => { if (wrong[kind].length < 8) wrong[kind].push(what); };
  const name = (element) => {
    const text = (element.innerText || element.value || element.id || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${element.tagName.toLowerCase()}${element.className ? "." + String(element.className).split(" ")[0] : ""}> ${text}`;
  };
  const drawn = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen");
  // A link that is out of the way until it has the focus.
  const away = (element) => element.closest(".skip") && !element.closest(".skip").matches(":focus");

  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) {
    tell("scroll", `${root.scrollWidth} px wide in a window of ${innerWidth}`);
    for (const element of document.body.querySelectorAll("*")) {
      const box = element.getBoundingClientRect();
      if (drawn(element) && !away(element) && box.right > innerWidth + 1) tell("scroll", `${name(element)} ends at ${Math.round(box.right)}`);
    }
  }

  // Each line of text: within its box, within the window, on no other text.
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || !drawn(parent) || away(parent)) continue;
    let box = parent;
    while (getComputedStyle(box).display.startsWith("inline") && getComputedStyle(box).display === "inline") box = box.parentElement;
    const bounds = box.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const line of range.getClientRects()) {
      if (line.width < 1 || line.height < 1) continue;
      if (line.left < -1 || (line.right > innerWidth + 1 && !parent.closest(".scroll"))) tell("clipped", `${name(parent)} leaves the window`);
      if (line.left < bounds.left - 1 || line.right > bounds.right + 1 || line.top < bounds.top - line.height / 4 || line.bottom > bounds.bottom + line.height / 4) {
        tell("clipped", `${name(parent)} leaves its <${box.tagName.toLowerCase()}>`);
      }
      // The glyphs are in the middle half of the line.
      lines.push({ node, parent, left: line.left, right: line.right, top: line.top + line.height / 4, bottom: line.bottom - line.height / 4 });
    }
  }
  for (const element of document.body.querySelectorAll("*")) {
    if (!drawn(element) || !element.innerText) continue;
    const style = getComputedStyle(element);
    const hides = (value) => value === "hidden" || value === "clip";
    if (hides(style.overflowX) && element.scrollWidth > element.clientWidth + 1) tell("clipped", `${name(element)} hides what is beside`);
    if (hides(style.overflowY) && element.scrollHeight > element.clientHeight + 1) tell("clipped", `${name(element)} hides what is below`);
  }
  lines.sort((a, b) => a.top - b.top);
  lines.forEach((one, index) => {
    for (let next = index + 1; next < lines.length && lines[next].top < one.bottom; next++) {
      const other = lines[next];
      if (other.node !== one.node && other.left < one.right - 1 && other.right > one.left + 1) tell("overlap", `${name(one.parent)} and ${name(other.parent)}`);
    }
  });

  // What is touched: 24 px at the least, 44 for what a page is there for. Links within a sentence are as high as its lines.
  const touched = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")].filter((e) => drawn(e) && !away(e));
  const inSentence = (element) => element.tagName === "A" && getComputedStyle(element).display === "inline" &&
    [...element.parentElement.childNodes].some((node) => node !== element && node.textContent.trim());
  for (const element of touched) {
    const label = element.type === "radio" || element.type === "checkbox" ? element.parentElement : element;
    const box = label.getBoundingClientRect();
    const main = label.matches("button, .button, select, textarea, input, summary, .radio");
    const least = main ? 44 : 24;
    if (inSentence(element)) continue;
    if (box.height < least - 0.5 || box.width < (main ? 24 : 16)) tell("small", `${name(element)} ${Math.round(box.width)} × ${Math.round(box.height)} px, ${least} wanted`);
  }
  touched.forEach((one, index) => {
    const box = one.getBoundingClientRect();
    for (const other of touched.slice(index + 1)) {
      if (one.contains(other) || other.contains(one)) continue;
      const its = other.getBoundingClientRect();
      const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
      const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
      if (across > 1 && down > 1) tell("overlap", `${name(one)} and ${name(other)} are touched at the same place`);
    }
  });

  for (const element of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(element);
    if (style.animationName !== "none" || style.transitionDuration.split(",").some((t) => parseFloat(t) > 0)) tell("moving", name(element));
  }
  if (document.cookie) tell("kept", `a script can read ${document.cookie}`);
  if (localStorage.length || sessionStorage.length) tell("kept", "storage is used");
  return wrong;
}

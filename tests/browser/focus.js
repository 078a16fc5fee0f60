// Goes with the focus from one thing to the next: each is to be seen, uncovered, and to show that it has the focus.
() => {
  const wrong = [];
  const name = (element) => `<${element.tagName.toLowerCase()}> ${(element.innerText || element.id || "").trim().slice(0, 40)}`;
  const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
    .filter((element) => !element.disabled && element.tabIndex >= 0 && element.checkVisibility({ visibilityProperty: true }));
  if (document.querySelector("[tabindex]:not([tabindex='0']):not([tabindex='-1'])")) wrong.push("an order of its own (tabindex > 0)");
  if (!all.length || !all[0].matches(".skip")) wrong.push("the skip link does not come first");
  for (const element of all) {
    element.focus({ focusVisible: true });
    if (document.activeElement !== element) { wrong.push(`${name(element)} takes no focus`); continue; }
    const box = element.getBoundingClientRect();
    const [top, bottom] = [Math.max(0, box.top), Math.min(innerHeight, box.bottom)];
    if (bottom - top < Math.min(24, box.height) - 1 || box.left < -1 || box.right > innerWidth + 1) { wrong.push(`${name(element)} is out of sight`); continue; }
    const there = document.elementFromPoint((box.left + box.right) / 2, (top + bottom) / 2);
    const lines = [...element.getClientRects()];
    const own = there && (element.contains(there) || there.contains(element) || lines.length > 1);
    if (!own) wrong.push(`${name(element)} is covered by ${there ? name(there) : "nothing"}`);
    const style = getComputedStyle(element);
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) wrong.push(`${name(element)} does not show the focus`);
  }
  document.activeElement.blur();
  scrollTo(0, 0);
  return wrong.slice(0, 8);
}

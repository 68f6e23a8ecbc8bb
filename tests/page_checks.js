// What is wrong with the page that is open, as sentences; the tests of pages want there to be none.
(() => {
  const found = [];
  const all = (what, inside = document) => [...inside.querySelectorAll(what)];
  const named = (item) => item.tagName.toLowerCase() + (item.className.baseVal ?? item.className ? "." + (item.className.baseVal ?? item.className) : "");
  const shown = (item) => item.checkVisibility() && item.getBoundingClientRect().width > 0;

  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) found.push(`page is ${root.scrollWidth} wide in a window of ${innerWidth}`);

  let before = 0;
  for (const head of all("h1,h2,h3,h4,h5,h6")) {
    const level = Number(head.tagName[1]);
    if (level > before + 1) found.push(`heading '${head.textContent}' of level ${level} comes after level ${before}`);
    before = level;
  }
  if (all("h1").length !== 1) found.push(`there are ${all("h1").length} h1`);
  for (const mark of ["header", "nav[aria-label]", "main", "footer"]) {
    if (all(mark).length < 1) found.push(`there is no ${mark}`);
  }
  const first = all("a[href],button,input,summary,[tabindex='0']")[0];
  if (!first || !all(first.getAttribute("href") ?? "none")[0]?.matches("main")) found.push("the first stop of the keyboard is no link to main");
  const ids = all("[id]").map((item) => item.id);
  if (new Set(ids).size !== ids.length) found.push("an id is there twice");
  for (const link of all("a[href^='#']")) {
    if (!document.getElementById(link.getAttribute("href").slice(1))) found.push(`link ${link.getAttribute("href")} leads nowhere`);
  }
  for (const item of all("[aria-labelledby]")) {
    for (const id of item.getAttribute("aria-labelledby").split(" ")) {
      if (!document.getElementById(id)?.textContent.trim()) found.push(`${named(item)} is labelled by '${id}', which is not there`);
    }
  }
  for (const item of all("svg")) {
    if (item.getAttribute("role") !== "img") found.push(`${named(item)} has no role`);
    if (!(item.getAttribute("aria-label") ?? item.getAttribute("aria-labelledby"))) found.push(`${named(item)} has no name`);
  }
  for (const item of all("img")) if (!item.alt) found.push("a picture has no alt");
  for (const table of all("table")) {
    if (!all("thead th[scope=col]", table).length) found.push("a table has no heads of columns");
    for (const row of all("tbody tr", table)) {
      if (!row.querySelector("th[scope=row]")) found.push("a row has no head");
    }
  }
  for (const item of all("body *")) {
    const style = getComputedStyle(item);
    if (shown(item) && item.scrollWidth > item.clientWidth + 1 && /auto|scroll/.test(style.overflowX)) {
      if (item.tabIndex !== 0 || item.getAttribute("role") !== "region") found.push(`${named(item)} scrolls, but not by keyboard`);
    }
    for (const name of item.getAttributeNames()) if (name.startsWith("on")) found.push(`${named(item)} has ${name}`);
  }
  if (all("script,iframe,object,embed,link[rel=stylesheet]").length) found.push("there is a script, a frame or a style sheet of its own");

  // contrast of every text with what is behind it
  const channels = (text) => {
    const numbers = text.match(/[\d.]+(e-?\d+)?%?/g)?.map(Number) ?? [0, 0, 0, 0];
    const scale = text.startsWith("color(") ? 255 : 1;
    return [numbers[0] * scale, numbers[1] * scale, numbers[2] * scale, numbers[3] ?? 1];
  };
  const over = (top, below) => top.slice(0, 3).map((value, i) => value * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (item) => {
    const layers = [];
    for (let at = item; at; at = at.parentElement) layers.push(channels(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let least = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const item = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shown(item) || item.matches("title,desc,style")) continue;
    const inside = item.closest("svg");
    const back = behind(inside ? inside.parentElement : item);
    const ink = over(channels(getComputedStyle(item)[inside ? "fill" : "color"]), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    least = Math.min(least, ratio);
    if (ratio < 4.5) found.push(`'${walker.currentNode.textContent.trim().slice(0, 30)}' has a contrast of ${ratio.toFixed(2)}`);
  }

  // labels of figures: inside, and none on another
  for (const figure of all("figure svg[viewBox]").filter(shown)) {
    const frame = figure.getBoundingClientRect();
    const boxes = all("text", figure).map((item) => [item.textContent, item.getBoundingClientRect()]);
    boxes.forEach(([text, box], place) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
        found.push(`label '${text}' of ${named(figure)} sticks out of its figure`);
      }
      for (const [other, beside] of boxes.slice(place + 1)) {
        const wide = Math.min(box.right, beside.right) - Math.max(box.left, beside.left);
        const high = Math.min(box.bottom, beside.bottom) - Math.max(box.top, beside.top);
        if (wide > 1 && high > 4) found.push(`labels '${text}' and '${other}' overlap in '${figure.querySelector("title")?.textContent}'`);
      }
    });
  }
  return { found: [...new Set(found)], least, background: getComputedStyle(document.body).backgroundColor };
})()

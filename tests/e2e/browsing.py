"""What the tests of the page share: a real Chromium, and what they measure in it."""

from collections.abc import Callable
from typing import Literal

from playwright.sync_api import Page

Scheme = Literal["light", "dark"]
OpenPage = Callable[..., Page]

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
# What Chromium itself logs of an API that is away, or wants a key.
EXPECTED_WORDS = ("ERR_CONNECTION_REFUSED", "status of 401", "status of 403")
# The smallest contrast of any visible text with what lies behind it (WCAG 2.2, 1.4.3).
LOWEST_CONTRAST = """() => {
  const parts = (css) => css.match(/[\\d.]+/g).map(Number);
  const light = (css) => parts(css).slice(0, 3)
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (node) => {
    const css = getComputedStyle(node).backgroundColor;
    return parts(css)[3] === 0 && node.parentElement ? behind(node.parentElement) : css;
  };
  const contrasts = [...document.querySelectorAll("body *")]
    .filter((node) => [...node.childNodes].some(
      (child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim()))
    .filter((node) => node.checkVisibility())
    .map((node) => {
      const style = getComputedStyle(node);
      const isSvg = node instanceof SVGElement;
      const pair = [light(isSvg ? style.fill : style.color), light(behind(node))];
      const [darker, lighter] = pair.sort((one, other) => one - other);
      return [(lighter + 0.05) / (darker + 0.05), `${node.tagName} ${node.textContent}`];
    });
  return contrasts.sort((one, other) => one[0] - other[0])[0];
}"""

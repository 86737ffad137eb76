"""What the tests of the pages share: a real Chromium, and what they measure in it."""

from collections.abc import Callable
from typing import Literal

from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion
from playwright.sync_api import Page

from stack.broker import Broker

Scheme = Literal["light", "dark"]
OpenPage = Callable[..., Page]

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
# What Chromium itself logs of an API that is away, or refuses.
EXPECTED_WORDS = (
    "ERR_CONNECTION_REFUSED",
    *(f"status of {status}" for status in (400, 401, 403, 404, 409, 422)),
)
# Reads a computed colour into [red, green, blue, alpha], the colours from 0 to 1.
_COLOURS = """
  const parts = (css) => {
    const found = css.replace(/^color\\(srgb/, "").match(/[\\d.]+/g).map(Number);
    const most = css.startsWith("color(") ? 1 : 255;
    return [...found.slice(0, 3).map((part) => part / most), found[3] ?? 1];
  };
  const light = (css) => parts(css).slice(0, 3)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (node) => {
    const css = getComputedStyle(node).backgroundColor;
    return parts(css)[3] === 0 && node.parentElement ? behind(node.parentElement) : css;
  };
  const contrast = (one, other) => {
    const [darker, lighter] = [light(one), light(other)].sort((less, more) => less - more);
    return (lighter + 0.05) / (darker + 0.05);
  };
  const lowest = (found) => found.sort((one, other) => one[0] - other[0])[0];
"""
# The smallest contrast of any visible text with what lies behind it (WCAG 2.2, 1.4.3).
LOWEST_CONTRAST = f"""() => {{
  {_COLOURS}
  return lowest([...document.querySelectorAll("body *")]
    .filter((node) => [...node.childNodes].some(
      (child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim()))
    .filter((node) => node.checkVisibility())
    .map((node) => {{
      const style = getComputedStyle(node);
      const own = node instanceof SVGElement ? style.fill : style.color;
      return [contrast(own, behind(node)), `${{node.tagName}} ${{node.textContent}}`];
    }}));
}}"""
# The same of what is no text: edges of fields, lines of charts, marks of states (1.4.11).
LOWEST_SHAPE_CONTRAST = f"""() => {{
  {_COLOURS}
  const edges = [...document.querySelectorAll("input:not([type=radio]), select, .segments span")]
    .map((node) => [node, getComputedStyle(node).borderTopColor]);
  const lines = [...document.querySelectorAll("path.line, .spark path")]
    .map((node) => [node, getComputedStyle(node).stroke]);
  const marks = [...document.querySelectorAll(".swatch, .live-dot")]
    .map((node) => [node, getComputedStyle(node).backgroundColor]);
  return lowest([...edges, ...lines, ...marks]
    .filter(([node]) => node.checkVisibility())
    .map(([node, css]) => [contrast(css, behind(node.parentElement)), node.outerHTML]));
}}"""


def tell_state(broker: Broker, device: str, state: str, qos: int) -> None:
    """Tell a device's state, as it would itself."""
    publish.single(
        f"status/hall/{device}",
        f'{{"state":"{state}","qos":{qos},"profile":"<b>station</b>"}}',
        qos=1,
        retain=True,
        hostname=broker.host,
        port=broker.port,
        client_id=device,
        auth={"username": device, "password": broker.password(device)},
        protocol=MQTTProtocolVersion.MQTTv5,
    )

// A list of names and what is known of each.

import { element, keep, write } from "./dom.js";

// `facts`: [[name, text], …]
export function showFacts(list, facts) {
  const make = ([name]) => {
    const fact = element("div");
    fact.append(element("dt", "", name), element("dd"));
    return fact;
  };
  keep(list, facts, ([name]) => name, make, (fact, [, text]) => write(fact.lastElementChild, text));
}

# SPDX-License-Identifier: MIT
"""flame.py SVG - a page that uses the flame graph as a reader would, and writes down what happens."""
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    svg = file.read()
print("<!DOCTYPE html><html><body><pre id=log></pre><object id=o type='image/svg+xml' data='%s'>"
      "</object><script>" % sys.argv[1].rsplit("/", 1)[-1])
# Chromium lets no page look into another file, so the picture is made part of this one.
script = svg[svg.index("<![CDATA[") + 9:svg.index("]]>")]
picture = svg[svg.index("<svg"):svg.index("<script>")] + "</svg>"
print("</script>" + picture.replace("<svg ", "<svg id='picture' ", 1))
print("<script>" + script.replace("document.documentElement", "document.getElementById('picture')")
      + "</script>")
print("""<script>
var log = document.getElementById("log");
function say(text) { log.textContent += text + "\\n"; }
function frame(name) {
    return Array.prototype.find.call(document.querySelectorAll(".f"),
        function (g) { return g.getAttribute("data-n") === name; });
}
function click(element) { element.dispatchEvent(new MouseEvent("click")); }
function width(g) { return Math.round(g.querySelector("rect").getAttribute("width")); }
function is(g) { return g.style.display === "none" ? "hidden" : "shown"; }
click(frame("waiter"));
say("zoomed: waiter is " + width(frame("waiter")) + " wide, crunch is " + is(frame("crunch")));
click(document.getElementById("reset"));
say("back: crunch is " + is(frame("crunch")));
var input = document.querySelector("input");
function search(text) {
    input.value = text;
    input.dispatchEvent(new Event("input"));
    say("search: " + document.getElementById("matched").textContent);
}
search("^wait_for");
search("(");
</script></body></html>""")

// SPDX-License-Identifier: MIT
// The script in a flame graph: click to zoom, / or Ctrl-F to search, hover for details.
"use strict";
(function () {
	var svg = document.documentElement, width = 1180, left = 10, charWidth = 7.25;
	var frames = [], zoomed = null, details = document.getElementById("details");
	var matched = document.getElementById("matched"), reset = document.getElementById("reset");

	Array.prototype.forEach.call(document.querySelectorAll(".f"), function (g) {
		var rect = g.querySelector("rect"), title = g.querySelector("title").textContent;
		var f = {
			g: g, rect: rect, text: g.querySelector("text"), title: title,
			name: g.getAttribute("data-n"), x: +rect.getAttribute("x") - left,
			w: +rect.getAttribute("width"), y: +rect.getAttribute("y")
		};
		frames.push(f);
		g.addEventListener("click", function () { zoom(f); });
		g.addEventListener("mouseover", function () {
			details.textContent = title.replace(/\n/g, "    ");
		});
		g.addEventListener("mouseout", function () { details.textContent = "\u00a0"; });
	});

	function label(f, w) {
		var n = Math.floor((w - 8) / charWidth);
		f.text.textContent = n < 3 ? "" : f.name.length <= n ? f.name
			: f.name.slice(0, n - 1) + "\u2026";
	}

	function place(f, x, w, parent) {
		f.g.style.display = w < .2 ? "none" : "";
		f.g.classList.toggle("parent", parent);
		f.rect.setAttribute("x", left + x);
		f.rect.setAttribute("width", w);
		f.text.setAttribute("x", left + x + 4);
		label(f, w);
	}

	// What lies under the frame keeps its share of it, what it stands on becomes as wide as all.
	function zoom(to) {
		var all = to.w >= width - .01, slack = 1e-3;

		zoomed = all ? null : to;
		reset.style.display = all ? "none" : "";
		frames.forEach(function (f) {
			if (f.y > to.y && f.x <= to.x + slack && f.x + f.w >= to.x + to.w - slack)
				place(f, 0, width, true);
			else if (f.y <= to.y && f.x >= to.x - slack && f.x + f.w <= to.x + to.w + slack)
				place(f, (f.x - to.x) / to.w * width, f.w / to.w * width, false);
			else
				place(f, 0, 0, false);
		});
	}

	function unzoom() {
		zoom({ x: 0, w: width, y: Infinity });
	}

	// The share of all that runs in a matching frame: each piece of the width counts once.
	function search(term) {
		var pattern, found = [], sum = 0, end = -1;

		try {
			pattern = term ? new RegExp(term, "i") : null;
		} catch (e) {
			matched.textContent = "no regular expression";
			return;
		}
		frames.forEach(function (f) {
			var is = pattern !== null && pattern.test(f.name);
			f.g.classList.toggle("match", is);
			if (is)
				found.push(f);
		});
		found.sort(function (a, b) { return a.x - b.x || b.w - a.w; });
		found.forEach(function (f) {
			var from = Math.max(f.x, end), to = f.x + f.w;
			if (to > from) {
				sum += to - from;
				end = to;
			}
		});
		matched.textContent = pattern ? "matched " + (100 * sum / width).toFixed(1) + "%" : "";
	}

	// A field to type in is not SVG; without a browser there is none, and nobody to type.
	var box = document.getElementById("search");
	var input = document.createElementNS("http://www.w3.org/1999/xhtml", "input");
	input.setAttribute("placeholder", "search: regular expression");
	input.addEventListener("input", function () { search(input.value); });
	box.appendChild(input);

	reset.addEventListener("click", unzoom);
	svg.addEventListener("keydown", function (e) {
		if ((e.ctrlKey && e.key === "f") || (e.key === "/" && e.target !== input)) {
			e.preventDefault();
			input.focus();
		} else if (e.key === "Escape") {
			input.value = "";
			search("");
			input.blur();
			unzoom();
		}
	});
}());

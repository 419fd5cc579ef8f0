package browser

import "fmt"

// Wide names the elements that reach beyond the right edge of the window, if the page can be
// scrolled to the side: on a phone nobody finds what is there. The width is that of the view: a
// phone shows a page that is too wide smaller, and innerWidth grows with it.
func (p *Page) Wide() []string {
	p.t.Helper()
	return Value[[]string](p, fmt.Sprintf(`(() => {
		const root = document.documentElement, width = %d;
		if (root.scrollWidth <= width && document.body.scrollWidth <= width) return [];
		const wide = [...document.querySelectorAll("body *")].filter(
			element => element.getBoundingClientRect().right > width + 0.5);
		return ["the page: " + root.scrollWidth + " of " + width].concat(wide.map(
			element => element.tagName + "." + element.className + "#" + element.id));
	})()`, p.view.Width))
}

// Contrast is that of the text of the first element that the selector matches with what is behind
// it, by the formula of WCAG 2: from 1 to 21. Text needs 4.5, and 3 if it is large.
func (p *Page) Contrast(selector string) float64 {
	p.t.Helper()
	return Value[float64](p, fmt.Sprintf(`(() => {
		const canvas = document.createElement("canvas").getContext("2d");
		const rgba = color => {
			canvas.clearRect(0, 0, 1, 1);
			canvas.fillStyle = color;
			canvas.fillRect(0, 0, 1, 1);
			return canvas.getImageData(0, 0, 1, 1).data;
		};
		// What is behind is the first background that is not transparent, with those before it
		// laid over it.
		let element = document.querySelector(%q), layers = [];
		const text = rgba(getComputedStyle(element).color);
		for (; element; element = element.parentElement) {
			const layer = rgba(getComputedStyle(element).backgroundColor);
			layers.push(layer);
			if (layer[3] === 255) break;
		}
		const over = (top, under) => [0, 1, 2].map(
			i => top[i] * top[3] / 255 + under[i] * (1 - top[3] / 255));
		const behind = layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
		const luminance = color => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => {
			const c = color[i] / 255;
			return sum + share * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		}, 0);
		const [a, b] = [luminance(over(text, behind)), luminance(behind)];
		return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	})()`, selector))
}

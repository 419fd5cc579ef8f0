// The page of a program that runs: the steps come from the server, and a key lets the program go
// on. What the program has done can be gone through meanwhile, as in a recording.

class Live {
	constructor(root) {
		this.root = root;
		this.player = null;
		this.notice = h("p", {class: "notice", role: "status"}, "waits for the program");
		root.append(this.notice);
		// After a break the browser connects again by itself, and says which step came last.
		this.events = new EventSource("events");
		this.events.addEventListener("begin", event => this.begin(JSON.parse(event.data)));
		this.events.addEventListener("step", event => this.step(JSON.parse(event.data)));
		this.events.addEventListener("ended", event => this.end(JSON.parse(event.data)));
		this.events.addEventListener("error", () => this.say());
		this.events.addEventListener("open", () => this.say());
	}

	begin(data) {
		if (this.player) return; // connected again
		data.steps = [];
		data.source = {};
		this.player = new Player(new Recording(data), this.root, {more: () => this.letGo()});
		document.querySelector(".timeline").after(this.notice);
		this.say();
	}

	// step takes a step over, and shows it if the one before it was shown.
	step({step, mounts, source}) {
		const {player} = this, {recording} = player;
		if (source) Object.assign(recording.data.source[step.place.file] ??= {}, source);
		const follows = player.n === player.count;
		recording.add(step, mounts || []);
		this.asked = false;
		player.grow();
		if (follows) player.show(player.count, "replace");
		this.say();
	}

	end({ended, cut}) {
		this.events.close();
		const {player} = this;
		this.ended = true;
		player.more = null;
		player.play(false);
		Object.assign(player.recording.data, {ended, cut});
		player.facts();
		this.say();
	}

	// letGo lets the program go on after the last step. The number says which: a request that comes
	// twice does nothing.
	async letGo() {
		if (this.asked) return;
		this.asked = true;
		this.say();
		try {
			const answer = await fetch("next", {method: "POST", body: String(this.player.count)});
			if (!answer.ok) throw new Error(answer.statusText);
		} catch {
			this.asked = false;
		}
	}

	// say says what is waited for.
	say() {
		if (this.ended) this.notice.textContent = "the program has ended";
		else if (this.events.readyState === EventSource.CLOSED) {
			this.notice.textContent = "the server has ended";
		} else if (this.events.readyState === EventSource.CONNECTING) {
			this.notice.textContent = "no connection: tries again";
		} else if (this.asked) this.notice.textContent = "the program runs";
		else this.notice.textContent = "the program waits: → makes one call, Space keeps going";
	}
}

new Live(document.getElementById("app"));

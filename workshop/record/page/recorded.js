// The page of a recording: the data lies in the page itself.
new Player(new Recording(JSON.parse(document.getElementById("data").textContent)),
	document.getElementById("app"));

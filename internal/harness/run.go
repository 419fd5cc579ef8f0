//go:build linux

package harness

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Run has the scripts of all the steps up to the one of the package being tested, which is the
// working directory, run on other hosts, several at once. They are subtests step/script in their
// order. It must run under Main.
func Run(t *testing.T) {
	wd, err := os.Getwd()
	must(t, err)
	root, err := ModuleRoot()
	must(t, err)
	// go test keeps a result until something changes that the tests looked at: look at what the
	// other stages use.
	for _, name := range []string{
		programEnv, reportEnv, shareEnv, TimeoutEnv, emulatedEnv, sweepEnv, prebuiltEnv, "CI",
		"PATH",
	} {
		_ = os.Getenv(name)
	}
	// The program is among that: the test binary contains next to nothing of it.
	looked := []string{
		"scripts/mkrootfs.sh", "internal/harness/probe/*.go", filepath.Base(wd) + "/*.go",
		filepath.Base(wd) + "/*/*.[gs]*",
	}
	if filepath.Base(wd) == Runtime { // its demos show the image tool, too
		looked = append(looked, "image/*.go", "image/*/*.go")
	}
	for _, pattern := range looked {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		must(t, err)
		for _, file := range files {
			_, err := os.Stat(file)
			must(t, err)
		}
	}
	scripts, err := scriptsHere(root)
	must(t, err)
	r, err := errandsHere()
	must(t, err)
	var wanted []Script
	for _, s := range scripts {
		name, skip := t.Name()+"/"+s.ID(), testFlag("skip")
		if isWanted(testFlag("run"), name) && (skip == "" || !isWanted(skip, name)) {
			wanted = append(wanted, s)
		}
	}
	must(t, r.ask(wanted...))
	for len(scripts) > 0 {
		step := scripts[0].Step
		n := slices.IndexFunc(scripts, func(s Script) bool { return s.Step != step })
		if n < 0 {
			n = len(scripts)
		}
		t.Run(step, func(t *testing.T) {
			for _, script := range scripts[:n] {
				run(t, r, script)
			}
		})
		scripts = scripts[n:]
	}
}

// scriptsHere are the scripts and the demonstrations that the tests of this package run.
func scriptsHere(root string) ([]Script, error) {
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	scripts, err := Scripts(root, filepath.Base(wd))
	if err != nil {
		return nil, err
	}
	demos, err := demosHere(root)
	if err != nil {
		return nil, err
	}
	if scripts, err = share(scripts, now().Share); err == nil {
		demos, err = share(demos, now().Share)
	}
	return append(scripts, demos...), err
}

// must ends a test at an error. Package testify would be in every program that has the harness in
// it, with all that it begins with: parsers of YAML, and servers of HTTP.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// share is the part of the scripts that shareEnv asks for: all if it is empty.
func share(scripts []Script, text string) (part []Script, err error) {
	if text == "" {
		return scripts, nil
	}
	var which, of int
	_, err = fmt.Sscanf(text+"\n", "%d/%d\n", &which, &of)
	if err != nil || which < 1 || which > of {
		return nil, fmt.Errorf("%s %q: must be a share and their number, such as 2/4", shareEnv,
			text)
	}
	for i := which - 1; i < len(scripts); i += of {
		part = append(part, scripts[i])
	}
	return part, nil
}

// told are the kinds of leftovers that a script has failed for. The fault is told once, and not
// again by each script that meets it.
var told = map[string]bool{}

// run has one script run, and fails it when it leaves something behind.
func run(t *testing.T, r *errands, script Script) {
	t.Run(script.Name, func(t *testing.T) {
		e, err := r.take(script)
		must(t, err)
		switch e.Status {
		case Skipped:
			skipScript(t, e)
		case Failed:
			judge(t, e)
		default:
			t.Log(e.Log)
		}
		record(script.ID(), "ran")
	})
}

// isNews tells whether a script failed for something that was not told of before. That a host has
// lost its root is news each time: it ends what the host was to do.
func isNews(e Event) bool {
	news := len(e.Left) == 0 || e.spends()
	for _, line := range e.Left {
		kind := strings.Join(strings.Fields(line)[:2], " ") // new: cgroup
		news = news || !told[kind]
		told[kind] = true
	}
	return news
}

// judge says what is to be said of a script that failed.
func judge(t *testing.T, e Event) {
	news := isNews(e)
	switch {
	case e.Script.NotYet() && now().Program != "":
		t.Logf("ahead: this step need not do that yet, and the program does it\n%s", e.Log)
	case !news:
		t.Logf("the host is not as it was before, as after a script that was told of:\n%s", e.Log)
	default:
		t.Error(e.Log)
	}
}

// skipScript skips a script, unless the machine has all that it needs and CI=true asks for all that
// can run.
func skipScript(t *testing.T, e Event) {
	whole := e.Lacking || now().Program != "" // our own programs have all that the scripts ask for
	if now().CI && (e.Baseless || !whole) {
		t.Fatal("skipped, but nothing is missing here: ", e.Reason)
	}
	record(e.Script.ID(), "skipped "+e.Reason)
	t.Skip(e.Reason)
}

// record tells the first stage what became of a script.
func record(script, result string) {
	_, _ = unix.Write(reportFd, []byte(script+" "+result+"\n"))
}

// printReport prints how many scripts ran and why others did not: on stdout, which go test shows
// for a failure or with -v; and if some did not, on the terminal too, if there is one.
func printReport(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var lines, skipped []string
	tried := 0
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		script, result, _ := strings.Cut(scanner.Text(), " ")
		if number, ok := strings.CutPrefix(result, "tried "); ok {
			n, _ := strconv.Atoi(number) // as Tried wrote it
			tried += n
			continue
		}
		lines = append(lines, scanner.Text())
		if strings.HasPrefix(result, "skipped") {
			skipped = append(skipped, "  "+script+" "+result)
		}
	}
	wd, _ := os.Getwd()
	slices.Sort(skipped)
	summary := fmt.Sprintf("%s: %d scripts ran, %d skipped", filepath.Base(wd),
		len(lines)-len(skipped), len(skipped))
	if tried > 0 {
		summary += fmt.Sprintf(", %d faults tried", tried)
	}
	summary += "\n"
	if len(skipped) > 0 {
		summary += strings.Join(skipped, "\n") + "\n"
	}
	fmt.Print(summary)
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil && len(skipped) > 0 {
		fmt.Fprint(tty, summary)
		tty.Close()
	}
	if name := os.Getenv(reportEnv); name != "" {
		report, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		defer report.Close()
		for _, line := range lines {
			fmt.Fprintln(report, filepath.Base(wd), line)
		}
	}
	return nil
}

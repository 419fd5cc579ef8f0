//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
	"container.example/workshop/workshop/report"
)

// destination is where the report of a check goes to, and in which form.
type destination struct {
	file       string // - for the standard output
	format     report.Format
	name       string // of the participant
	formatName string
	submission *report.Submission
}

func (d *destination) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "report", Destination: &d.file, TakesFile: true,
			Usage: "write the results to `FILE`, in the format that its name says; - is the " +
				"standard output",
		},
		&cli.StringFlag{
			Name: "format", Destination: &d.formatName,
			Usage: "the `FORMAT` of the report: junit, tap, json, gradescope or classroom50",
		},
		&cli.StringFlag{
			Name: "name", Destination: &d.name,
			Usage: "the `NAME` of the participant, for the report in JSON",
		},
	}
}

// check finds out the format before there is anything to write.
func (d *destination) check() (err error) {
	if d.file == "" {
		if d.formatName != "" || d.name != "" {
			return errors.New("-format and -name: are for a report (add -report FILE)")
		}
		return nil
	}
	if d.format, err = report.FormatOf(d.formatName, d.file); err != nil {
		return err
	}
	if d.format == report.Classroom50 {
		d.submission, err = report.SubmissionOf(os.Getenv)
	}
	return err
}

// write writes the report of a check that began at start.
func (a *app) write(d destination, c *checker, v *verdict, start time.Time) error {
	r, err := a.results(c, v)
	if err != nil {
		return err
	}
	r.Name, r.Time, r.Seconds = d.name, start.Round(time.Millisecond), seconds(time.Since(start))
	r.Submission = d.submission
	if d.file == "-" {
		return r.Write(os.Stdout, d.format)
	}
	err = writeWhole(d.file, 0o644, func(w io.Writer) error { return r.Write(w, d.format) })
	if err != nil {
		return withAdvice(err)
	}
	a.out.printf("\nReport: %s\n", relative(d.file))
	return nil
}

// results is a verdict as a report, in the order of the course.
func (a *app) results(c *checker, v *verdict) (*report.Report, error) {
	s, err := c.load()
	if err != nil {
		return nil, err
	}
	release, _ := release()
	r := &report.Report{
		Program: filepath.Base(c.program(s)),
		Lesson:  v.lesson.id(),
		Machine: report.Machine{
			Kernel:  release,
			Arch:    runtime.GOARCH,
			Cgroups: cgroupVersion(),
			Root:    os.Geteuid() == 0,
		},
	}
	if v.build != nil {
		r.Build = a.plainly(func(a *app) error {
			a.explainBuild(v.build, a.self()+" check")
			return nil
		})
	}
	for _, script := range c.course.promised(v.lesson, s) {
		if script.NotYet() { // which shows what is not promised
			continue
		}
		e := v.events[script.ID()]
		e.Script = script
		result, err := a.result(c, v.lesson, e)
		if err != nil {
			return nil, err
		}
		r.Results = append(r.Results, result)
	}
	return r, nil
}

// result is what became of one promise of a lesson.
func (a *app) result(c *checker, l lesson, e harness.Event) (report.Result, error) {
	title, err := e.Script.Promise(0)
	r := report.Result{
		Step:    e.Script.Step,
		Chapter: e.Script.Chapter,
		Name:    e.Script.Name,
		Title:   title,
		Seconds: seconds(e.Took),
	}
	switch {
	case e.Status == harness.Passed:
		r.Status = report.Passed
	case e.Status == harness.Failed:
		r.Status = report.Failed
		r.Message = a.plainly(func(a *app) error { return a.describeFailure(c.place, e) })
	case e.Status != harness.Skipped:
		r.Status = report.NotReached
	case e.NotBuilt != "" && e.Script.Chapter != "" && !c.course.lessonOf(e.Script).optional:
		r.Status = report.NotBuilt
		r.Reason = "the program does not take -" + e.NotBuilt
	default:
		r.Status, r.Reason = report.Skipped, e.Reason
	}
	return r, err
}

// seconds is a time to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// plainly has a command print into a string, as it prints into a file.
func (a *app) plainly(print func(*app) error) string {
	var b bytes.Buffer
	if err := print(&app{dir: a.dir, out: newOutput(&b, true, nil)}); err != nil {
		fmt.Fprintf(&b, "workshop: %v\n", err)
	}
	return strings.Trim(b.String(), "\n")
}

// cgroupVersion is which control groups the machine has.
func cgroupVersion() string {
	var st unix.Statfs_t
	switch err := unix.Statfs(cgroupRoot, &st); {
	case err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC:
		return "v2"
	case err == nil && exists(filepath.Join(cgroupRoot, "unified")):
		return "hybrid"
	case err == nil && exists(filepath.Join(cgroupRoot, "memory")):
		return "v1"
	}
	return "none"
}

func (a *app) report() *cli.Command {
	file := "report.html"
	return &cli.Command{
		Name:      "report",
		Usage:     "Make one page of the reports of many",
		ArgsUsage: "FILE...",
		Description: `Make one page in HTML of reports that check has written as JSON: how far
each person is and what is broken there, and for each promise who keeps it.
The page needs no network and no other file. A person is called as check -name
said, and otherwise as the file is called.

  workshop check -report anna.json -name Anna 3    each participant
  workshop report *.json                           you
  workshop report -o monday.html monday/*.json`,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "o", Destination: &file, Value: file, TakesFile: true,
				Usage: "write the page to `FILE`; - is the standard output",
			},
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			names := cmd.Args().Slice()
			if len(names) == 0 {
				return errors.New("report: needs FILE..., as check -report FILE.json writes it")
			}
			page, err := report.Collect(names)
			if err != nil {
				return err
			}
			if file == "-" {
				return page.Write(os.Stdout)
			}
			if err := writeWhole(file, 0o644, page.Write); err != nil {
				return withAdvice(err)
			}
			a.out.printf("Wrote %s: %s\n", relative(file), plural(len(names), "report"))
			return nil
		},
	}
}

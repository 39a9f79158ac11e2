package engine

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Codes of ClickHouse that are answered by trying again.
const (
	codeCannotOpenFile = 76  // the status file is locked by another engine
	codeNetwork        = 210 // the port was taken meanwhile
)

// A StartError says that ClickHouse refused to start, by its own error code.
// ClickHouse's text is not in it: such texts hold paths, queries and values.
type StartError struct {
	Code int    // ClickHouse's error code; 0 if it gave none
	Name string // ClickHouse's name of the code, or ""
	hint string
}

// Error gives the code and what to do.
func (e *StartError) Error() string {
	var b strings.Builder
	b.WriteString("engine: ClickHouse did not start")
	if e.Code != 0 {
		fmt.Fprintf(&b, ": code %d", e.Code)
	}
	if e.Name != "" {
		fmt.Fprintf(&b, " (%s)", e.Name)
	}
	if e.hint != "" {
		b.WriteString(": " + e.hint)
	}
	return b.String()
}

// childComplaint begins a line that Child itself wrote, which is about the
// machine and never about data.
const childComplaint = "pana engine: "

var (
	codePattern = regexp.MustCompile(`Code: (\d{1,5})\.`)
	namePattern = regexp.MustCompile(`\(([A-Z][A-Z0-9_]{2,63})\)`)
)

const diskHint = "its disk is full, read-only or fails; mend that first"

var hints = map[int]string{
	codeCannotOpenFile: "another engine runs on this data directory; stop it first",
	codeNetwork:        "no free port on 127.0.0.1 could be had",
	241:                "the memory limit is too low for it; raise it",
	243:                diskHint,
}

// diagnose turns the beginning of a child's standard error into one error.
func diagnose(stderr string) error {
	for line := range strings.Lines(stderr) {
		if why, ok := strings.CutPrefix(line, childComplaint); ok {
			return &StartError{hint: strings.TrimSpace(why)}
		}
	}
	e := &StartError{hint: "it gave no reason"}
	if m := codePattern.FindStringSubmatch(stderr); m != nil {
		e.Code, _ = strconv.Atoi(m[1]) // digits, by the pattern
		e.hint = hints[e.Code]
	}
	if m := namePattern.FindStringSubmatch(stderr); m != nil {
		e.Name = m[1]
	}
	return e
}

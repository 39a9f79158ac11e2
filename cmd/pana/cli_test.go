package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pana-exchange/pana/gateway"
)

// TestCommandsExplainThemselves holds every command to the rules at the top of
// cli.go and to one voice.
func TestCommandsExplainThemselves(t *testing.T) {
	c := &cli{in: bytes.NewReader(nil), out: io.Discard, err: io.Discard, now: time.Now}
	var walk func(command *cobra.Command)
	walk = func(command *cobra.Command) {
		path := command.CommandPath()
		if command.Short == "" || strings.HasSuffix(command.Short, ".") || strings.ToUpper(command.Short[:1]) != command.Short[:1] {
			t.Errorf("%s: the short text is %q", path, command.Short)
		}
		command.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: the text is %q", path, f.Name, f.Usage)
			}
			if len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !strings.Contains(command.Use, "--"+f.Name) {
				t.Errorf("%s needs --%s, which its usage does not say: %s", path, f.Name, command.Use)
			}
		})
		for line := range strings.Lines(command.Example) {
			if !strings.HasPrefix(line, "  pana ") && !strings.HasPrefix(line, "  spicy ") && !strings.HasPrefix(line, "  ssh-keygen ") {
				t.Errorf("%s: the example %q is none", path, line)
			}
		}
		if command.HasSubCommands() {
			for _, sub := range command.Commands() {
				walk(sub)
			}
			return
		}
		if code := c.run(context.Background(), append(strings.Fields(path)[1:], "--help")); code != exitDone {
			t.Errorf("%s --help ends with %d", path, code)
		}
		if code := c.run(context.Background(), append(strings.Fields(path)[1:], "--no-such-flag")); code != exitUse {
			t.Errorf("%s --no-such-flag ends with %d", path, code)
		}
	}
	walk(c.root())
}

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
	}{
		"use":                  {usageError{errors.New("x")}, exitUse},
		"refusal":              {refusal{errors.New("x")}, exitRefused},
		"refusal of a problem": {refusal{&problem{Status: 422}}, exitRefused},
		"a gateway's failure":  {&problem{Status: 503}, exitSystem},
		"invalid":              {gateway.Errorf(gateway.Invalid, "x"), exitRefused},
		"wrapped":              {errors.Join(errors.New("y"), gateway.Errorf(gateway.Conflict, "x")), exitRefused},
		"overloaded":           {gateway.Errorf(gateway.Overloaded, "x"), exitSystem},
		"internal":             {&gateway.Error{Err: errors.New("x")}, exitSystem},
		"interrupted":          {context.Canceled, exitSystem},
		"anything":             {errors.New("x"), exitSystem},
	} {
		if got := exitCode(c.err); got != c.code {
			t.Errorf("%s: %d, want %d", name, got, c.code)
		}
	}
}

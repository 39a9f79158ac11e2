package main

// The rules of this user interface:
//
//   - Results go to standard output, everything else to standard error.
//   - --json makes the result one JSON value on standard output, for programs.
//   - An error is one clear line, and a hint where there is one. It never shows
//     what a file holds, only where the fault is.
//   - Exit codes: 0 done, 1 refused (the input's fault), 2 wrong use, 3 the
//     system's fault.
//   - Progress is drawn only where somebody looks: on a terminal.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/pana-exchange/pana/gateway"
)

// The exit codes.
const (
	exitDone    = 0
	exitRefused = 1
	exitUse     = 2
	exitSystem  = 3
)

// A cli is one run of the command.
type cli struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	asJSON   bool
}

// usageError is a wrong use of the command line.
type usageError struct{ error }

// refusal is an error whose fault lies in the input; the problems, if any, were
// printed already.
type refusal struct{ error }

// Unwrap returns what was refused and why.
func (r refusal) Unwrap() error { return r.error }

func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	_, _ = fmt.Fprintf(c.err, "pana: %s\n", message(err))
	if code == exitUse {
		_, _ = fmt.Fprintf(c.err, "hint: %s --help\n", command.CommandPath())
	}
	return code
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pana",
		Short: "A privacy-preserving data-exchange gateway for child-protection data",
		Long: `Pana takes case-level records of police, health, education, social protection,
justice and helpline, replaces identifiers by keyed pseudonyms before anything is
stored, lets policy files decide what is kept and what is shown, and answers
cross-sector questions by tables that cannot be turned back into children.

Start with:  pana demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.PersistentFlags().BoolVar(&c.asJSON, "json", false, "print the result as one JSON value")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		c.demoCommand(), c.serveCommand(), c.synthCommand(), c.checkCommand(), c.uploadCommand(),
		c.batchCommand(), c.releaseCommand(), c.queryCommand(), c.policyCommand(), c.auditCommand(),
		c.codesCommand(), c.keysCommand(), c.keyserverCommand(), c.eraseCommand(), c.accessCommand(), c.engineCommand(), c.fsckCommand(), c.redteamCommand(), c.benchCommand(),
	)
	strictUse(root)
	return root
}

// strictUse makes wrong arguments, missing flags and an unknown subcommand usage
// errors, each said in one line.
func strictUse(command *cobra.Command) {
	check := command.Args
	if check == nil {
		check = cobra.NoArgs
	}
	command.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.HasSubCommands() && len(args) > 0 {
			return usageError{unknownCommand(cmd, args[0])}
		}
		if check(cmd, args) != nil {
			return usageError{errors.New("it is used so: " + cmd.UseLine())}
		}
		if missing := missingFlags(cmd); len(missing) > 0 {
			return usageError{errors.New("it needs " + strings.Join(missing, ", "))}
		}
		return nil
	}
	if command.HasSubCommands() && command.RunE == nil {
		command.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, sub := range command.Commands() {
		strictUse(sub)
	}
}

func unknownCommand(parent *cobra.Command, name string) error {
	var near []string
	for distance := 1; distance <= 2 && len(near) == 0; distance++ { // only the nearest
		parent.SuggestionsMinimumDistance = distance
		near = parent.SuggestionsFor(name)
	}
	if len(near) == 0 {
		return fmt.Errorf("there is no command %q", parent.CommandPath()+" "+name)
	}
	return fmt.Errorf("there is no command %q; did you mean %s?", parent.CommandPath()+" "+name, strings.Join(near, " or "))
}

// missingFlags are the flags that a command requires and was not given.
func missingFlags(command *cobra.Command) []string {
	var missing []string
	command.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Changed && len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 {
			missing = append(missing, "--"+f.Name)
		}
	})
	return missing
}

// require marks flags that a command cannot do without.
func require(command *cobra.Command, names ...string) {
	for _, name := range names {
		err := command.MarkFlagRequired(name)
		if err != nil {
			panic("pana: internal error: " + err.Error()) // the flag was not added
		}
	}
}

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUse
	}
	if _, ok := errors.AsType[refusal](err); ok {
		return exitRefused
	}
	e, ok := errors.AsType[*gateway.Error](err)
	if !ok || e.Kind == gateway.Internal || e.Kind == gateway.Overloaded || e.Kind == gateway.Unavailable {
		return exitSystem
	}
	return exitRefused
}

func message(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}

// print writes a result: as JSON where --json asks for it, else by human.
func (c *cli) print(v any, human func(w io.Writer) error) error {
	if !c.asJSON {
		return human(c.out)
	}
	encoder := json.NewEncoder(c.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// say writes a line for people, to standard error, unless --json was given.
func (c *cli) say(format string, args ...any) {
	if !c.asJSON {
		_, _ = fmt.Fprintf(c.err, format+"\n", args...)
	}
}

// terminal reports whether standard error is one.
func (c *cli) terminal() bool {
	f, ok := c.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

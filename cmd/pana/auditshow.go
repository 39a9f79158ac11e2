package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// followEvery is how often --follow looks whether the ledger grew.
const followEvery = time.Second

// A leafFilter chooses leaves. Empty fields choose all.
type leafFilter struct {
	events       []string
	actor        string
	object       string // or what stands before a / of it
	since, until string
	after, end   time.Time
}

func (f *leafFilter) validate() (err error) {
	for _, e := range f.events {
		if group, all := strings.CutSuffix(e, ".*"); !ledger.Event(e).Valid() && (!all || group == "") {
			return usageError{errors.New("--event is one of the ledger's, such as batch.commit, or a group of them, such as batch.*")}
		}
	}
	for _, t := range []struct {
		text string
		into *time.Time
	}{{f.since, &f.after}, {f.until, &f.end}} {
		if t.text == "" {
			continue
		}
		*t.into, err = time.Parse(time.RFC3339, t.text)
		if err != nil {
			*t.into, err = time.Parse(time.DateOnly, t.text)
		}
		if err != nil {
			return usageError{errors.New("--since and --until are days or times, such as 2026-07-01 or 2026-07-01T09:00:00Z")}
		}
	}
	return nil
}

func (f *leafFilter) match(l ledger.Leaf) bool {
	of := func(pattern string) bool {
		group, all := strings.CutSuffix(pattern, "*")
		return string(l.Event) == pattern || all && strings.HasPrefix(string(l.Event), group)
	}
	return (len(f.events) == 0 || slices.ContainsFunc(f.events, of)) &&
		(f.actor == "" || l.Actor == f.actor) &&
		(f.object == "" || l.Object == f.object || strings.HasPrefix(l.Object, f.object+"/")) &&
		!l.Time.Before(f.after) && (f.end.IsZero() || l.Time.Before(f.end))
}

// choose returns the leaves that the filter matches.
func (f *leafFilter) choose(leaves []json.RawMessage) ([]json.RawMessage, error) {
	chosen := []json.RawMessage{}
	for _, raw := range leaves {
		leaf, err := ledger.DecodeLeaf(raw)
		if err != nil {
			return nil, fmt.Errorf("a leaf of the ledger is not one: %w", err)
		}
		if f.match(leaf) {
			chosen = append(chosen, raw)
		}
	}
	return chosen, nil
}

func (c *cli) auditShowCommand(flags *clientFlags) *cobra.Command {
	var from uint64
	var follow bool
	var filter leafFilter
	command := &cobra.Command{
		Use: "show", Short: "Read the ledger of a running gateway",
		Long: `Read the ledger, or the leaves of it that you ask for. --follow goes on until it is
ended by Ctrl-C; with --json it prints one leaf a line. That you read is itself logged.`,
		Example: `  pana audit show --event question --actor kxyz --since 2026-07-01
  pana audit show --event 'batch.*' --follow`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := filter.validate()
			if err != nil {
				return err
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			if follow {
				return c.follow(cmd.Context(), cl, from, &filter)
			}
			leaves, err := cl.leaves(cmd.Context(), from)
			if err == nil {
				leaves, err = filter.choose(leaves)
			}
			if err != nil {
				return err
			}
			return c.print(leaves, func(w io.Writer) error { return writeLeaves(w, leaves) })
		},
	}
	flags.add(command)
	f := command.Flags()
	f.Uint64Var(&from, "from", 0, "index of the first leaf")
	f.StringArrayVar(&filter.events, "event", nil, "event, or a group such as batch.*; may be repeated")
	f.StringVar(&filter.actor, "actor", "", "id of the key that acted")
	f.StringVar(&filter.object, "object", "", "id of what was acted on, such as a batch or a release")
	f.StringVar(&filter.since, "since", "", "first day or time")
	f.StringVar(&filter.until, "until", "", "day or time before which they are")
	f.BoolVar(&follow, "follow", false, "go on with what is logged from now on")
	return command
}

// follow prints what is logged until ctx ends. It reads leaves, which is itself logged,
// only when the public checkpoint says that there are others than of its own reading.
func (c *cli) follow(ctx context.Context, cl *client, from uint64, filter *leafFilter) error {
	for {
		leaves, err := cl.leaves(ctx, from)
		if err != nil {
			return ended(ctx, err)
		}
		from += uint64(len(leaves))
		chosen, err := filter.choose(leaves)
		if err != nil {
			return err
		}
		err = c.printLines(chosen)
		if err != nil {
			return err
		}
		for size := uint64(0); size <= from; {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(followEvery):
			}
			size, err = cl.logSize(ctx)
			if err != nil {
				return ended(ctx, err)
			}
		}
	}
}

// ended is nil where it was the user who ended it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Ctrl-C is how following ends
	}
	return err
}

func (c *cli) printLines(leaves []json.RawMessage) error {
	if !c.asJSON {
		return writeLeaves(c.out, leaves)
	}
	for _, leaf := range leaves {
		_, err := fmt.Fprintf(c.out, "%s\n", leaf)
		if err != nil {
			return err
		}
	}
	return nil
}

// logSize is the size of the log by its newest checkpoint, which those who may read leaves
// see before a witness signs it; it is not verified.
func (c *client) logSize(ctx context.Context) (uint64, error) {
	text, err := c.fetch(ctx, "/v1/audit/checkpoint")
	if err != nil {
		return 0, err
	}
	lines := strings.SplitN(string(text), "\n", 3)
	size, err := strconv.ParseUint(lines[min(1, len(lines)-1)], 10, 64)
	if err != nil {
		return 0, errors.New("the gateway's checkpoint is not one that this version reads")
	}
	return size, nil
}

// fetch reads what a path of the gateway answers.
func (c *client) fetch(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, usageError{errors.New("the gateway's address is not one: " + c.base)}
	}
	return c.do(request)
}

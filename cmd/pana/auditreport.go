package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// An oversight is what the ledger says of a time, for whoever oversees the gateway. It
// holds numbers of events, never of children, records or rows.
type oversight struct {
	From      string          `json:"from"`
	To        string          `json:"to"` // not in it
	Questions []askedOf       `json:"questions"`
	Events    []eventCount    `json:"events"`
	Erasures  int             `json:"erasures"` // that were carried out
	Alarms    []oversightTime `json:"alarms"`   // witnesses, fsck and the clock
}

// askedOf is who asked which release for which purpose, and how often.
type askedOf struct {
	Key     string `json:"key"`
	Release string `json:"release"`
	Purpose string `json:"purpose"`
	Allowed int    `json:"allowed"`
	Denied  int    `json:"denied"`
}

type eventCount struct {
	Event   ledger.Event   `json:"event"`
	Outcome ledger.Outcome `json:"outcome"`
	Count   int            `json:"count"`
}

type oversightTime struct {
	At    time.Time    `json:"at"`
	Event ledger.Event `json:"event"`
}

// oversee counts the leaves of a time. Erasures are a number and no more: not even their
// times, which lie close to those of somebody's request.
func oversee(leaves []ledger.Leaf, from, to string) oversight {
	o := oversight{From: from, To: to, Questions: []askedOf{}, Events: []eventCount{}, Alarms: []oversightTime{}}
	questions, events := map[[3]string]*askedOf{}, map[eventCount]int{}
	for _, l := range leaves {
		switch l.Event {
		case ledger.Question:
			parts := append(strings.SplitN(l.Object, "/", 3), "-", "-")
			at := [3]string{l.Actor, parts[0], parts[1]}
			if questions[at] == nil {
				questions[at] = &askedOf{Key: at[0], Release: at[1], Purpose: at[2]}
			}
			if l.Outcome == ledger.Allowed {
				questions[at].Allowed++
			} else {
				questions[at].Denied++
			}
			continue
		case ledger.SubjectErase:
			if l.Outcome == ledger.Done {
				o.Erasures++
			}
			continue
		case ledger.WitnessSilent, ledger.WitnessBack, ledger.WitnessFork, ledger.FsckFinding, ledger.ClockStep:
			o.Alarms = append(o.Alarms, oversightTime{l.Time, l.Event})
		default: // counted only
		}
		events[eventCount{Event: l.Event, Outcome: l.Outcome}]++
	}
	for _, q := range questions {
		o.Questions = append(o.Questions, *q)
	}
	slices.SortFunc(o.Questions, func(a, b askedOf) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Purpose, b.Purpose))
	})
	for e, n := range events {
		o.Events = append(o.Events, eventCount{e.Event, e.Outcome, n})
	}
	slices.SortFunc(o.Events, func(a, b eventCount) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Outcome, b.Outcome))
	})
	return o
}

// oversightWords are the report's headings. Kazakh and Russian are provisional: a native
// speaker must review them.
var oversightWords = map[string][5]string{
	"en": {"Report of the ledger, %s to %s (the last day not in it)", "Questions: key, release, purpose, answered, refused", "Other events: event, outcome, number", "Erasures carried out: %d", "Alarms"},
	"ru": {"Отчёт по журналу, с %s по %s (последний день не входит) [предварительный перевод]", "Запросы: ключ, выпуск, цель, отвечено, отказано", "Другие события: событие, исход, число", "Выполнено удалений: %d", "Тревоги"},
	"kk": {"Журнал есебі, %s – %s (соңғы күн кірмейді) [алдын ала аударма]", "Сұраулар: кілт, шығарылым, мақсат, жауап берілді, бас тартылды", "Басқа оқиғалар: оқиға, нәтиже, саны", "Орындалған жою: %d", "Дабылдар"},
}

func writeOversight(w io.Writer, o oversight, lang string) error {
	words := oversightWords[lang]
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, words[0]+"\n\n%s\n", o.From, o.To, words[1])
	for _, q := range o.Questions {
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\t%d\t%d\n", q.Key, q.Release, q.Purpose, q.Allowed, q.Denied)
	}
	_, _ = fmt.Fprintf(t, "\n%s\n", words[2])
	for _, e := range o.Events {
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%d\n", e.Event, e.Outcome, e.Count)
	}
	_, _ = fmt.Fprintf(t, "\n"+words[3]+"\n\n%s\n", o.Erasures, words[4])
	for _, a := range o.Alarms {
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", a.At.Format(time.RFC3339), a.Event)
	}
	return t.Flush()
}

func (c *cli) auditReportCommand(flags *clientFlags) *cobra.Command {
	var filter leafFilter
	var lang string
	var html bool
	command := &cobra.Command{
		Use: "report --from DAY --to DAY", Short: "What happened in a time, for whoever oversees the gateway",
		Long: `Count what the ledger says of a time: who asked which release for which purpose and was
answered or refused; uploads, withdrawals, changes of policies, keys and access; alarms of
witnesses; and of erasures their number alone. There is no number of children in it, nor
of records. That you read the ledger is itself logged.`,
		Example: "  pana audit report --from 2026-07-01 --to 2026-10-01 --lang ru",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filter.validate(); err != nil {
				return usageError{errors.New("--from and --to are days, such as 2026-07-01")}
			}
			if _, known := oversightWords[lang]; !known {
				return usageError{errors.New("--lang is kk, ru or en")}
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			raw, err := cl.leaves(cmd.Context(), 0)
			if err != nil {
				return err
			}
			chosen, err := chosenLeaves(raw, &filter)
			if err != nil {
				return err
			}
			o := oversee(chosen, filter.since, filter.until)
			if html {
				return writeOversightPage(c.out, o, lang)
			}
			return c.print(o, func(w io.Writer) error { return writeOversight(w, o, lang) })
		},
	}
	command.Flags().StringVar(&filter.since, "from", "", "first day")
	command.Flags().StringVar(&filter.until, "to", "", "the day after the last")
	command.Flags().StringVar(&lang, "lang", "en", "language of the headings: kk, ru or en")
	command.Flags().BoolVar(&html, "html", false, "write a page for print")
	require(command, "from", "to")
	return command
}

func chosenLeaves(raw []json.RawMessage, filter *leafFilter) ([]ledger.Leaf, error) {
	var chosen []ledger.Leaf
	for _, text := range raw {
		l, err := ledger.DecodeLeaf(text)
		if err != nil {
			return nil, fmt.Errorf("a leaf of the ledger is not one: %w", err)
		}
		if filter.match(l) {
			chosen = append(chosen, l)
		}
	}
	return chosen, nil
}

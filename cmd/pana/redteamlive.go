package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/redteam"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// A liveAttack is on a release of a test environment.
type liveAttack struct {
	release, purpose string
	children         int
	seed             uint64
}

// attackRelease asks a release as a researcher and scores by the synthetic country
// that filled it, which is made again from its size and seed.
func (c *cli) attackRelease(ctx context.Context, flags clientFlags, a liveAttack) error {
	if a.purpose == "" || a.children < 1 || a.children > synth.MaxChildren {
		return usageError{errors.New("--release needs --purpose, and --children from 1 up")}
	}
	cl, err := flags.client()
	if err != nil {
		return err
	}
	var catalogue exchange.Catalogue
	err = cl.call(ctx, http.MethodGet, "/v1/releases/"+url.PathEscape(a.release), nil, &catalogue)
	if err != nil {
		return err
	}
	if catalogue.Pinned.Definition == nil {
		return errors.New("the release pins no definition that this version reads")
	}
	country, err := newCountry(synth.Options{Children: a.children, Seed: a.seed})
	if err != nil {
		return err
	}
	truth, err := country.Truth(catalogue.Pinned.Definition, catalogue.Pinned.Coverage)
	if err != nil {
		return err
	}
	report, err := redteam.Against(ctx, redteam.LiveRelease{
		ID: catalogue.ID, Definition: catalogue.Pinned.Definition, Rules: catalogue.Pinned.Rules,
		Truth: func(label string) int { return truth.Cells[label].Children },
		Ask:   func(q gateway.Question) (*gateway.Table, error) { return cl.askAs(ctx, a, q) },
	})
	if err != nil {
		return err
	}
	err = c.print(report, report.WriteText)
	if err == nil && !report.Passed {
		err = refusal{errors.New(report.Verdict())}
	}
	return err
}

// askAs asks one question; a refusal is one of the gateway's errors, as the attacks
// tell refusals from faults.
func (c *client) askAs(ctx context.Context, a liveAttack, q gateway.Question) (*gateway.Table, error) {
	body := tableQuestion{Measure: q.Measure, GroupBy: q.GroupBy, Filter: q.Filter, Purpose: gateway.Purpose(a.purpose)}
	var t gateway.Table
	err := c.call(ctx, http.MethodPost, tablePath(a.release, q.Cube), body, &t)
	if _, no := errors.AsType[refusal](err); no {
		return nil, &gateway.Error{Kind: gateway.Invalid, Detail: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return &t, nil
}

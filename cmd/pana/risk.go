package main

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/disclosure/risk"
	"github.com/pana-exchange/pana/pipelines/redteam"
)

// showRisk prints the risk page, with --json beside its digest.
func (c *cli) showRisk(ctx context.Context, cl *client, release string) error {
	page, digest, err := readRisk(ctx, cl, release)
	if err != nil {
		return err
	}
	return c.print(riskJSON{release, digest, page}, func(w io.Writer) error { return page.WriteText(w, digest) })
}

type riskJSON struct {
	Release string     `json:"release"`
	Digest  string     `json:"digest"` // of the page in canonical JSON, RFC 8785
	Page    *risk.Page `json:"page"`
}

// readRisk reads the risk page of a release and refuses one that is not the page of
// the digest beside it: what is approved is what was read.
func readRisk(ctx context.Context, cl *client, release string) (*risk.Page, string, error) {
	var answer exchange.RiskPage
	err := cl.call(ctx, http.MethodGet, "/v1/releases/"+url.PathEscape(release)+"/risk", nil, &answer)
	if err != nil {
		return nil, "", err
	}
	page, canonical, err := risk.Parse(answer.RiskPage)
	if err != nil {
		return nil, "", errors.New("the gateway's risk page is not one that this version reads")
	}
	digest := risk.Digest(canonical)
	if digest != answer.Page || page.Release != answer.ID || page.Cells != answer.Digest {
		return nil, "", &gateway.Error{Kind: gateway.Mismatch, Detail: "the risk page is not the one that its digest names"}
	}
	return page, digest, nil
}

// twin attacks invented children in the place of a definition's real ones, for the
// risk page.
func twin(ctx context.Context, d *gateway.Definition, rules gateway.ReleaseRules) (*risk.Twin, error) {
	report, err := redteam.Twin(ctx, d, redteam.TwinOptions{Rules: &rules})
	if err != nil {
		return nil, err
	}
	t := &risk.Twin{Children: report.Children, Keys: report.Keys}
	for _, f := range report.Findings {
		a := risk.Attack{Name: f.Attack, Measure: f.Measure, Verdict: f.Verdict, Bar: f.Bar, Held: f.Met, Working: true}
		if f.Default != nil {
			a.Value = math.Round(f.Default.Mean*1000) / 1000
		}
		for _, c := range f.Controls {
			a.Working = a.Working && c.Broken
		}
		t.Attacks = append(t.Attacks, a)
	}
	return t, nil
}

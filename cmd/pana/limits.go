package main

import (
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/inbox"
	"github.com/pana-exchange/pana/pipelines"
)

// What gateway.yaml sets, for those who hold to it. configs has refused what is
// negative or too large for the types here.

func (n *node) exchangeLimits() exchange.Limits {
	l := n.config.Limits
	return exchange.Limits{
		Uploads: l.Uploads, OfAgency: min(l.UploadsOfOne, l.Uploads), Bytes: l.BytesAtOnce, MinFreeDisk: n.diskReserve(),
		File: pipelines.Limits{
			RowBytes: int(l.RowBytes), Columns: l.Columns, Rows: l.Rows, Bytes: l.InsideBytes, HeldBytes: l.HeldBytes, Ratio: l.Ratio,
		},
	}
}

func (n *node) inboxLimits() inbox.Limits {
	i := n.config.Inbox
	return inbox.Limits{
		Keep: i.Keep, Oldest: i.Oldest, Uploads: i.Uploads, Bytes: i.Bytes, Total: i.Total, Pieces: i.Pieces, Reserve: n.diskReserve(),
	}
}

func (n *node) apiLimits() api.Limits {
	l := n.config.Limits
	return api.Limits{BodyBytes: l.BodyBytes, Rows: l.Rows, Idle: l.Idle, Pace: int(l.PaceBytes), JSONBytes: l.JSONBytes, Write: l.AnswerTime}
}

func (n *node) heads() api.Heads {
	return api.Heads{Time: n.config.Limits.HeaderTime, Bytes: int(n.config.Limits.HeaderBytes)}
}

// diskReserve is how many bytes must be free for uploads to be taken.
func (n *node) diskReserve() uint64 { return uint64(n.config.Limits.DiskReserve) } //nolint:gosec // it is positive

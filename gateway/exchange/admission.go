package exchange

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
)

// Admission is by number and by bytes, and nobody waits: whoever finds no room is
// told so at once, and when to come back. A queue would hold connections and hide
// how busy the gateway is; and a question needs no place here, so it never stands
// behind uploads.

// admitted is what is under way. The exchange's mu guards it.
type admitted struct {
	uploads int
	bytes   int64
	of      map[gateway.AgencyID]int // uploads
}

// weigh is what an upload takes of the bytes. One whose size nobody says takes an
// equal share; none takes more than there is, so that the largest is admitted when
// it is alone.
func (l Limits) weigh(size int64) int64 {
	if size <= 0 {
		size = l.Bytes / int64(l.Uploads)
	}
	return min(size, l.Bytes)
}

// enter admits one more upload, or says that there are too many, of all or of the
// agency, or that the disk is nearly full. All is said before the intent is logged.
func (x *Exchange) enter(agency gateway.AgencyID, size int64) (leave func(), err error) {
	err = x.evidenced()
	if err != nil {
		return nil, err
	}
	if x.FreeDisk != nil {
		free, err := x.FreeDisk()
		if err != nil {
			return nil, fmt.Errorf("looking at the disk: %w", err)
		}
		if free < x.Limits.MinFreeDisk {
			return nil, busy("disk", "the gateway's disk is nearly full; try again later, nothing was stored")
		}
	}
	weight := x.Limits.weigh(size)
	x.mu.Lock()
	defer x.mu.Unlock()
	a := &x.admitted
	switch {
	case x.keys.fenced:
		return nil, busy("rotation", "the keys are being rotated; try again in some seconds, nothing was stored")
	case a.of[agency] >= x.Limits.OfAgency:
		return nil, busy("uploads-of-agency", "as many uploads of yours are under way as may be at once; try again later, nothing was stored")
	case a.uploads >= x.Limits.Uploads:
		return nil, busy("uploads", "too many uploads are under way; try again later, nothing was stored")
	case weight > x.Limits.Bytes-a.bytes:
		return nil, busy("bytes-at-once", "the uploads under way are too large for one more; try again later, nothing was stored")
	}
	a.of[agency]++
	a.uploads++
	a.bytes += weight
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if a.of[agency]--; a.of[agency] == 0 {
			delete(a.of, agency)
		}
		a.uploads--
		a.bytes -= weight
	}, nil
}

func busy(limit, detail string) error {
	return &gateway.Error{Kind: gateway.Overloaded, Limit: limit, Detail: detail}
}

func tooManyRows(limit int) error {
	e := gateway.Errorf(gateway.TooLarge, "the batch has more than %d rows; split it", limit)
	e.Limit = "rows"
	return e
}

// A meter counts an upload under way, for whoever sent it.
type meter struct {
	owner    string
	held     string // id of the upload of the inbox, or ""
	contract gateway.ContractID
	size     int64
	batch    atomic.Pointer[gateway.BatchID]
	bytes    atomic.Int64
	rows     atomic.Int64
	refused  atomic.Int64
}

// watch counts an upload until it has ended.
func (x *Exchange) watch(caller gateway.Caller, u *Upload) (*meter, func()) {
	m := &meter{owner: ownerOf(caller), held: u.held, contract: u.Contract, size: u.Size}
	u.Body = metered{u.Body, &m.bytes}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.meters[m] = struct{}{}
	return m, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.meters, m)
	}
}

func (m *meter) begun(id gateway.BatchID) { m.batch.Store(&id) }

func (m *meter) read(r *pipelines.Reader) {
	m.rows.Store(int64(r.Rows()))
	m.refused.Store(int64(r.Refused()))
}

// metered is a body whose bytes are counted as they are read.
type metered struct {
	io.Reader
	bytes *atomic.Int64
}

// Read reads and counts.
func (c metered) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

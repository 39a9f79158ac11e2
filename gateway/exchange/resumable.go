package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/inbox"
)

// Piece is [inbox.Piece].
type Piece = inbox.Piece

// OffsetError is [inbox.OffsetError].
type OffsetError = inbox.OffsetError

// ErrChecksum is [inbox.ErrChecksum].
var ErrChecksum = inbox.ErrChecksum

// A Draft describes an upload whose body comes in pieces.
type Draft struct {
	Upload   // without its body; Size is required
	Metadata string
}

// Held is where an upload stands, for whoever sends it.
type Held struct {
	ID       string             `json:"upload"` // of an upload in one piece: its batch
	Contract gateway.ContractID `json:"contract"`
	State    UploadState        `json:"state"`
	Bytes    int64              `json:"bytes"`            // that have come
	Length   int64              `json:"length,omitempty"` // 0: nobody said
	Loaded   int64              `json:"bytes_read"`       // by the decoder
	Records  int64              `json:"records_read"`
	Refused  int64              `json:"records_refused"`
	Batch    gateway.BatchID    `json:"batch,omitempty"`
	Expires  *time.Time         `json:"expires,omitempty"`
	Metadata string             `json:"-"` // as it was sent
}

// An UploadState says what is to be done with an upload.
type UploadState string

// The states of an upload.
const (
	UploadReceiving UploadState = "receiving" // send more
	UploadReceived  UploadState = "received"  // it is whole: ask for the batch
	UploadLoading   UploadState = "loading"   // it is being read and stored
	UploadAccepted  UploadState = "accepted"  // ask for the batch to get the receipt
	UploadRefused   UploadState = "refused"   // ask for the batch to hear why; begin another
)

// An ending is how an upload of the inbox ended: a batch, or why there is none. It
// holds places and codes only.
type ending struct {
	Batch    gateway.BatchID   `json:"batch,omitempty"`
	Kind     gateway.Kind      `json:"kind,omitempty"`
	Detail   string            `json:"detail,omitempty"`
	Limit    string            `json:"limit,omitempty"`
	Problems *gateway.Problems `json:"problems,omitempty"`
	Ended    bool              `json:"ended,omitempty"`
	Report   *gateway.Report   `json:"report,omitempty"`
}

// ownerOf is whom an upload belongs to: the agency, and the part of it that the key
// is registered for, because the batch will say so.
func ownerOf(caller gateway.Caller) string {
	return string(caller.Agency) + "/" + strconv.Itoa(caller.Unit)
}

// uploader is the caller's inbox, where the caller may upload at all.
func (x *Exchange) uploader(ctx context.Context, caller gateway.Caller) (string, error) {
	_, err := x.allow(ctx, caller, gateway.ActUpload)
	if err != nil {
		return "", err
	}
	if x.Inbox == nil || caller.Agency == "" {
		return "", unknown()
	}
	return ownerOf(caller), nil
}

// BeginUpload begins an upload in pieces, or returns the one under way, or accepted,
// that is of the same content and said the same of it: whoever lost the address of
// an upload begins it again and goes on. It reports Mismatch where the idempotency
// key is another upload's.
func (x *Exchange) BeginUpload(ctx context.Context, caller gateway.Caller, d Draft) (Held, error) {
	owner, err := x.uploader(ctx, caller)
	if err != nil {
		return Held{}, err
	}
	_, err = x.mayUpload(ctx, caller, d.Upload)
	if err != nil {
		return Held{}, err
	}
	about, err := json.Marshal(d)
	if err != nil {
		return Held{}, fmt.Errorf("encoding an upload: %w", err)
	}
	x.beginning.Lock() // two that are the same begin one upload
	defer x.beginning.Unlock()
	for _, held := range x.Inbox.List(owner) {
		same, err := x.resumes(ctx, caller, held, d)
		if err != nil {
			return Held{}, err
		}
		if same {
			return x.progressOf(held)
		}
	}
	held, err := x.Inbox.Create(owner, d.Size, about)
	if err != nil {
		return Held{}, err
	}
	return x.progressOf(held)
}

// resumes reports whether an upload of the inbox is the one that is described.
func (x *Exchange) resumes(ctx context.Context, caller gateway.Caller, held inbox.Upload, d Draft) (bool, error) {
	old, end, err := described(held)
	if err != nil {
		return false, err
	}
	key := old.Key
	old.Key, old.Metadata, old.MaxRows = d.Key, d.Metadata, d.MaxRows
	a, errA := json.Marshal(old)
	b, errB := json.Marshal(d)
	if errA != nil || errB != nil {
		return false, errors.Join(errA, errB)
	}
	switch same := bytes.Equal(a, b); {
	case end == nil && !same && key == d.Key:
		return false, gateway.Errorf(gateway.Mismatch, "the Idempotency-Key is that of another upload under way; take another key, or end that upload")
	case end == nil || !same:
		return same, nil
	case end.Batch == "":
		return false, nil // refused: what was wrong with it may be mended on our side
	}
	batch, err := x.Registry.Batch(ctx, caller.Agency, end.Batch)
	if err != nil && !errors.Is(err, gateway.NotFound) {
		return false, err
	}
	return batch.State == gateway.BatchCommitted || batch.State == gateway.BatchPublished, nil
}

// described reads what an upload is, and how it ended, if it did.
func described(held inbox.Upload) (d Draft, end *ending, err error) {
	err = json.Unmarshal(held.About, &d)
	if err == nil && held.Outcome != nil {
		end = &ending{}
		err = json.Unmarshal(held.Outcome, end)
	}
	if err != nil {
		return d, nil, fmt.Errorf("decoding an upload: %w", err)
	}
	d.held = held.ID
	return d, end, nil
}

// AppendUpload adds a piece to an upload of the caller's, and returns where it
// stands; beside an error too, where there is such an upload.
func (x *Exchange) AppendUpload(ctx context.Context, caller gateway.Caller, id string, p Piece) (Held, error) {
	owner, err := x.uploader(ctx, caller)
	if err != nil {
		return Held{}, err
	}
	_, err = x.Inbox.Append(ctx, owner, id, p)
	progress, lookErr := x.UploadProgress(ctx, caller, id)
	if err != nil {
		return progress, err
	}
	return progress, lookErr
}

// PauseUpload ends the piece of an upload that is coming, if any, and returns where
// the upload stands.
func (x *Exchange) PauseUpload(ctx context.Context, caller gateway.Caller, id string) (Held, error) {
	owner, err := x.uploader(ctx, caller)
	if err != nil {
		return Held{}, err
	}
	err = x.Inbox.Pause(ctx, owner, id)
	if err != nil {
		return Held{}, err
	}
	return x.UploadProgress(ctx, caller, id)
}

// RemoveUpload erases an upload of the caller's. A batch that came of it stays.
func (x *Exchange) RemoveUpload(ctx context.Context, caller gateway.Caller, id string) error {
	owner, err := x.uploader(ctx, caller)
	if err != nil {
		return err
	}
	return x.Inbox.Remove(ctx, owner, id)
}

// UploadProgress returns where an upload of the caller's stands: one in pieces, or
// one in one piece that is under way, by its batch.
func (x *Exchange) UploadProgress(ctx context.Context, caller gateway.Caller, id string) (Held, error) {
	all, err := x.UploadsUnderWay(ctx, caller)
	if err != nil {
		return Held{}, err
	}
	at := slices.IndexFunc(all, func(p Held) bool { return p.ID == id })
	if at < 0 {
		return Held{}, gateway.Errorf(gateway.NotFound, "there is no such upload, or it expired, or your key may not know of it")
	}
	return all[at], nil
}

// UploadsUnderWay returns where each upload of the caller's stands: those in pieces,
// and those in one piece that are under way.
func (x *Exchange) UploadsUnderWay(ctx context.Context, caller gateway.Caller) ([]Held, error) {
	owner, err := x.uploader(ctx, caller)
	if err != nil {
		return nil, err
	}
	var list []Held
	for _, held := range x.Inbox.List(owner) {
		p, err := x.progressOf(held)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for m := range x.meters {
		batch := m.batch.Load()
		if m.owner != owner || m.held != "" || batch == nil {
			continue
		}
		list = append(list, Held{
			ID: string(*batch), Contract: m.contract, State: UploadLoading, Bytes: m.bytes.Load(), Length: m.size,
			Loaded: m.bytes.Load(), Records: m.rows.Load() + m.refused.Load(), Refused: m.refused.Load(), Batch: *batch,
		})
	}
	return list, nil
}

func (x *Exchange) progressOf(held inbox.Upload) (Held, error) {
	d, end, err := described(held)
	if err != nil {
		return Held{}, err
	}
	p := Held{
		ID: held.ID, Contract: d.Contract, State: UploadReceiving, Bytes: held.Offset, Length: held.Length,
		Expires: &held.Expires, Metadata: d.Metadata,
	}
	switch {
	case end != nil && end.Batch != "":
		p.State, p.Batch = UploadAccepted, end.Batch
	case end != nil:
		p.State = UploadRefused
	case held.Offset == held.Length:
		p.State = UploadReceived
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for m := range x.meters {
		if m.held == held.ID && end == nil {
			p.State, p.Loaded = UploadLoading, m.bytes.Load()
			p.Records, p.Refused = m.rows.Load()+m.refused.Load(), m.refused.Load()
		}
	}
	return p, nil
}

// FinishUpload makes a batch of an upload that is whole: it is [Exchange.Upload] of
// its body, and may be repeated as that may. It goes on when the caller's line
// breaks, because the body is here; it ends with the gateway. An upload that was
// accepted, or refused for its content, leaves no byte behind.
func (x *Exchange) FinishUpload(ctx context.Context, caller gateway.Caller, id string) (Uploaded, error) {
	owner, err := x.uploader(ctx, caller)
	if err != nil {
		return Uploaded{}, err
	}
	held, err := x.Inbox.Look(owner, id)
	if err != nil {
		return Uploaded{}, err
	}
	d, end, err := described(held)
	if err != nil {
		return Uploaded{}, err
	}
	if end != nil {
		return x.ended(ctx, caller, end)
	}
	ctx, cancel := x.detached(ctx)
	defer cancel()
	body, err := x.Inbox.Read(ctx, owner, id)
	if err != nil {
		return Uploaded{}, err
	}
	d.Body = body
	done, err := x.Upload(ctx, caller, d.Upload)
	_ = body.Close() // it was read
	if final := endingOf(done, err); final != nil {
		x.settleUpload(ctx, owner, id, final)
	}
	if errors.Is(err, inbox.ErrAltered) {
		x.Log.LogAttrs(ctx, slog.LevelError, "an upload in the inbox was altered")
		_ = x.Inbox.Remove(ctx, owner, id) // it can never become a batch
	}
	return done, err
}

// settleUpload erases the bytes. Should it fail, they expire; a repetition gets the
// same answer by its idempotency key until then.
func (x *Exchange) settleUpload(ctx context.Context, owner, id string, final *ending) {
	outcome, err := json.Marshal(final)
	if err == nil {
		err = x.Inbox.Settle(context.WithoutCancel(ctx), owner, id, outcome)
	}
	if err != nil {
		x.Log.LogAttrs(ctx, levelWarn, "upload not settled", attrError(err))
	}
}

// endingOf is what is kept of how an upload ended, or nil where trying again may
// help.
func endingOf(done Uploaded, err error) *ending {
	if err == nil {
		return &ending{Batch: done.Batch}
	}
	e, ok := errors.AsType[*gateway.Error](err)
	if !ok || !slices.Contains([]gateway.Kind{gateway.Invalid, gateway.TooLarge, gateway.Unsupported, gateway.Mismatch}, e.Kind) {
		return nil
	}
	final := &ending{Kind: e.Kind, Detail: e.Detail, Limit: e.Limit, Problems: e.Problems, Report: e.Report}
	final.Ended = e.Problems != nil && e.Problems.Ended
	return final
}

// ended repeats how an upload ended.
func (x *Exchange) ended(ctx context.Context, caller gateway.Caller, end *ending) (Uploaded, error) {
	if end.Batch == "" {
		if end.Problems != nil {
			end.Problems.Ended = end.Ended
		}
		return Uploaded{}, &gateway.Error{Kind: end.Kind, Detail: end.Detail, Limit: end.Limit, Problems: end.Problems, Report: end.Report}
	}
	receipt, err := x.Registry.Receipt(ctx, caller.Agency, end.Batch)
	return Uploaded{Batch: end.Batch, Receipt: receipt, Repeated: true}, err
}

// detached is a context that outlives the caller's, and ends with the gateway.
func (x *Exchange) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-x.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (x *Exchange) recoverInbox(ctx context.Context) error {
	if x.Inbox == nil {
		return nil
	}
	lost, err := x.Inbox.Recover()
	if lost > 0 {
		x.Log.LogAttrs(ctx, levelWarn, "uploads were cut or altered on disk and are erased", slog.Int("uploads", lost))
	}
	if err != nil {
		return fmt.Errorf("taking up uploads: %w", err)
	}
	return nil
}

func (x *Exchange) sweepInbox() error {
	if x.Inbox == nil {
		return nil
	}
	_, err := x.Inbox.Sweep()
	return err
}

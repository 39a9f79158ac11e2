package witness

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// maxAnswer bounds what a witness may answer: some signature lines.
const maxAnswer = 16 << 10

// maxTries bounds how often one checkpoint is submitted to one witness when it says
// that it knows another size than we think.
const maxTries = 3

// ErrFork means that a witness knows another history of the ledger than this one: the
// registry was put back to an earlier state, or the history was rewritten. Stop, keep
// all files as they are, and call the data protection officer.
var ErrFork = errors.New("witness: a witness knows another history of the ledger")

// knownError is a witness's answer that it knows the log at another size.
type knownError struct{ size uint64 }

func (e knownError) Error() string { return fmt.Sprintf("it knows the log at %d leaves", e.size) }

// submit brings a checkpoint of size leaves to one witness and returns its
// cosignatures. last is the size that it signed last, as far as we know.
func (w *Witnesses) submit(ctx context.Context, to ledger.Witness, checkpoint string, size, last uint64) ([]ledger.Cosignature, error) {
	last = min(last, size)
	for range maxTries {
		proof, err := w.Registry.Continues(ctx, last, size)
		if err != nil {
			return nil, err
		}
		answer, err := w.post(ctx, to, request(last, proof, checkpoint))
		known, differs := errors.AsType[knownError](err)
		switch {
		case err == nil:
			return ledger.OpenCosignatures(checkpoint, answer, to.Key)
		case !differs:
			return nil, err
		case known.size > size:
			return nil, fmt.Errorf("%w: it signed %d leaves, and there are %d", ErrFork, known.size, size)
		case known.size == last:
			// tlog-witness: the old size is the one that it knows, so what differs is the
			// root.
			return nil, fmt.Errorf("%w: it signed other %d leaves", ErrFork, last)
		}
		last = known.size
	}
	return nil, errors.New("it knows the log at another size each time it is asked")
}

// request is the body of C2SP tlog-witness add-checkpoint.
func request(last uint64, proof [][]byte, checkpoint string) string {
	var b strings.Builder
	b.WriteString("old " + strconv.FormatUint(last, 10) + "\n")
	for _, h := range proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h) + "\n")
	}
	b.WriteString("\n" + checkpoint)
	return b.String()
}

// post sends a request within the time that a witness has, and reads its answer as the
// specification says. Nothing of the answer's text is repeated.
func (w *Witnesses) post(ctx context.Context, to ledger.Witness, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL+"/add-checkpoint", strings.NewReader(body))
	if err != nil {
		return "", errors.New("its URL is not one")
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	response, err := w.client.Do(r)
	if err != nil {
		return "", errors.New("it cannot be reached")
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil || len(answer) > maxAnswer {
		return "", errors.New("its answer cannot be read")
	}
	switch response.StatusCode {
	case http.StatusOK:
		return string(answer), nil
	case http.StatusConflict:
		return "", conflict(response.Header.Get("Content-Type"), string(answer))
	case http.StatusUnprocessableEntity:
		// Our proof leads from the size that it knows to ours, in our tree: it has seen
		// another.
		return "", fmt.Errorf("%w: our proof does not lead there from what it signed", ErrFork)
	case http.StatusNotFound:
		return "", errors.New("it does not know this log; register the log's key with it")
	case http.StatusForbidden:
		return "", errors.New("it does not trust the key of this log; register the log's key with it")
	}
	return "", fmt.Errorf("it answered with status %d", response.StatusCode)
}

// conflict reads the size that a witness knows. Without one, tlog-witness means that
// it knows this very size with another root.
func conflict(media, answer string) error {
	if media, _, _ = strings.Cut(media, ";"); strings.TrimSpace(media) != "text/x.tlog.size" {
		return fmt.Errorf("%w: it signed another log of the same size", ErrFork)
	}
	text, found := strings.CutSuffix(answer, "\n")
	size, err := strconv.ParseUint(text, 10, 53)
	if !found || err != nil || strconv.FormatUint(size, 10) != text {
		return errors.New("it answered with a size that is none")
	}
	return knownError{size}
}

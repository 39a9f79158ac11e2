package tabular

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/text/transform"

	"github.com/pana-exchange/pana/gateway"
)

// CSVOptions say how a CSV file is opened.
type CSVOptions struct {
	RowBytes int                    // longest record
	Part     int                    // bytes that are held at once; 0: 256 KiB
	Said     gateway.Said           // encoding and separator, where they are said
	Known    func(name []byte) bool // required: whether a column may have that name
}

// OpenCSV finds out encoding, line ends and separator from the start of the file.
// Its error is a [FileError] or what reading the source came to.
func OpenCSV(ctx context.Context, src io.Reader, o CSVOptions) (*CSV, gateway.Dialect, error) {
	d := gateway.Dialect{Format: gateway.FormatCSV}
	head, src, err := peek(ctx, src)
	if err != nil {
		return nil, d, err
	}
	if err = otherFormat(head); err != nil {
		return nil, d, err
	}
	encoding, mark, err := encodingOf(head, o.Said.Encoding, o.Known)
	if err != nil {
		return nil, d, err
	}
	if _, err = io.CopyN(io.Discard, src, int64(mark)); err != nil {
		return nil, d, fmt.Errorf("reading the file: %w", err)
	}
	text := decoded(head[mark:], encoding)
	skipped, said := separatorLine(text)
	if said == "" {
		said = o.Said.Separator
	}
	d.Encoding, d.BOM, d.Lines = encoding, mark > 0, linesOf(text)
	sep, err := separatorOf(firstLine(text[skipped:]), said, o.Known)
	if err != nil {
		return nil, d, err
	}
	d.Separator = separatorNames[sep]
	s := newCSV(transcoded(src, encoding, d.Lines), cmp.Or(o.Part, bufferBytes), o.RowBytes)
	s.sep = sep
	if skipped > 0 {
		s.start, s.row.After = 0, 2
		if err = s.fill(ctx); err != nil {
			return nil, d, err
		}
		s.start = bytes.IndexByte(s.row.Buf[:s.end], '\n') + 1
	}
	return s, d, nil
}

// transcoded reads text as UTF-8 with lines that end in LF or CRLF.
func transcoded(src io.Reader, encoding, lines string) io.Reader {
	var steps []transform.Transformer
	if d, _ := decoder(encoding); d != nil {
		steps = append(steps, d)
	}
	if lines == "CR" {
		steps = append(steps, &lineEnds{})
	}
	if len(steps) == 0 {
		return src
	}
	return transform.NewReader(src, transform.Chain(steps...))
}

// separatorLine returns how many bytes a first line like "sep=;" has, which Excel
// writes and obeys, and the name of its separator.
func separatorLine(text []byte) (int, string) {
	line := firstLine(text)
	if len(line) != 5 || !bytes.EqualFold(line[:4], []byte("sep=")) || len(text) == len(line) {
		return 0, ""
	}
	name := separatorNames[line[4]]
	if name == "" {
		return 0, ""
	}
	end := len(line) + 1
	if text[len(line)] == '\r' && len(text) > end && text[end] == '\n' {
		end++
	}
	return end, name
}

// peek reads the start of the source, and returns it and a reader of all.
func peek(ctx context.Context, src io.Reader) ([]byte, io.Reader, error) {
	head := make([]byte, headBytes)
	n, eof, err := readFull(ctx, src, head)
	if err != nil {
		return nil, nil, err
	}
	head = head[:n]
	if eof {
		return head, bytes.NewReader(head), nil
	}
	return head, io.MultiReader(bytes.NewReader(head), src), nil
}

// readFull reads until p is full or the source ends.
func readFull(ctx context.Context, src io.Reader, p []byte) (n int, eof bool, err error) {
	for idle := 0; n < len(p); {
		if err := ctx.Err(); err != nil {
			return n, false, err
		}
		m, err := src.Read(p[n:])
		n += m
		switch {
		case err == io.EOF:
			return n, true, nil
		case errors.Is(err, io.EOF):
			// An error about the end is not the end: half a file must not be
			// taken for all of it by whoever asks errors.Is(err, io.EOF).
			return n, false, fmt.Errorf("reading the file: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return n, false, fmt.Errorf("reading the file: %w", err)
		case m > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return n, false, fmt.Errorf("reading the file: %w", io.ErrNoProgress)
			}
		}
	}
	return n, false, nil
}

package configs

import (
	"fmt"
	"time"
)

// Limits bound what connections and uploads may take. gateway.yaml explains each.
type Limits struct {
	Connections  int           `mapstructure:"connections"`
	HeaderBytes  int64         `mapstructure:"header_bytes"`
	HeaderTime   time.Duration `mapstructure:"header_time"`
	Idle         time.Duration `mapstructure:"idle"`
	PaceBytes    int64         `mapstructure:"pace_bytes"`
	AnswerTime   time.Duration `mapstructure:"answer_time"`
	JSONBytes    int64         `mapstructure:"json_bytes"`
	Uploads      int           `mapstructure:"uploads"`
	UploadsOfOne int           `mapstructure:"uploads_of_agency"`
	BytesAtOnce  int64         `mapstructure:"bytes_at_once"`
	DiskReserve  int64         `mapstructure:"disk_reserve"`
	BodyBytes    int64         `mapstructure:"body_bytes"`
	InsideBytes  int64         `mapstructure:"inside_bytes"`
	Ratio        int           `mapstructure:"ratio"`
	HeldBytes    int64         `mapstructure:"held_bytes"`
	Rows         int           `mapstructure:"rows"`
	Columns      int           `mapstructure:"columns"`
	RowBytes     int64         `mapstructure:"row_bytes"`
}

// Inbox bounds the uploads that come in pieces.
type Inbox struct {
	Keep    time.Duration `mapstructure:"keep"`
	Oldest  time.Duration `mapstructure:"oldest"`
	Uploads int           `mapstructure:"uploads"`
	Bytes   int64         `mapstructure:"bytes"`
	Total   int64         `mapstructure:"total"`
	Pieces  int           `mapstructure:"pieces"`
}

// A bound is what a setting may be.
type bound struct {
	key              string
	value, low, high int64
	says             string
}

const (
	kib      = int64(1) << 10
	mib      = int64(1) << 20
	boundTop = int64(1) << 50 // where nothing sensible is higher
)

// validateLimits reports the first limit that is out of its bounds: none may be
// switched off (trust.md 6.4, B84).
func (c *Config) validateLimits() error {
	if c.Engine.MaxMemory != 0 && c.Engine.MaxMemory < minEngineMemory {
		return invalid("engine.max_memory", "must be 256MiB or more, or 0")
	}
	for _, b := range append(c.Limits.bounds(), c.Inbox.bounds()...) {
		if b.value < b.low || b.value > b.high {
			return invalid(b.key, b.says)
		}
	}
	switch {
	case c.Inbox.Oldest < c.Inbox.Keep:
		return invalid("inbox.oldest", "must not be less than inbox.keep")
	case c.Inbox.Total < c.Inbox.Bytes:
		return invalid("inbox.total", "must not be less than inbox.bytes")
	}
	return nil
}

func (l Limits) bounds() []bound {
	return []bound{
		number("limits.connections", l.Connections, 16, 1_000_000),
		size("limits.header_bytes", l.HeaderBytes, 4*kib, mib),
		duration("limits.header_time", l.HeaderTime, time.Second, 5*time.Minute),
		duration("limits.idle", l.Idle, time.Second, time.Hour),
		{"limits.pace_bytes", l.PaceBytes, 1, boundTop, "must be 1B or more"},
		duration("limits.answer_time", l.AnswerTime, time.Second, time.Hour),
		size("limits.json_bytes", l.JSONBytes, 64*kib, 64*mib),
		number("limits.uploads", l.Uploads, 1, 1000),
		number("limits.uploads_of_agency", l.UploadsOfOne, 1, 1000),
		{"limits.bytes_at_once", l.BytesAtOnce, mib, boundTop, "must be 1MiB or more"},
		{"limits.disk_reserve", l.DiskReserve, mib, boundTop, "must be 1MiB or more"},
		{"limits.body_bytes", l.BodyBytes, kib, boundTop, "must be 1KiB or more"},
		{"limits.inside_bytes", l.InsideBytes, kib, boundTop, "must be 1KiB or more"},
		number("limits.ratio", l.Ratio, 2, 100_000),
		{"limits.held_bytes", l.HeldBytes, mib, boundTop, "must be 1MiB or more"},
		{"limits.rows", int64(l.Rows), 1, boundTop, "must be 1 or more"},
		number("limits.columns", l.Columns, 1, 10_000),
		size("limits.row_bytes", l.RowBytes, kib, 256*mib),
	}
}

func (i Inbox) bounds() []bound {
	return []bound{
		duration("inbox.keep", i.Keep, time.Minute, 30*24*time.Hour),
		duration("inbox.oldest", i.Oldest, time.Minute, 90*24*time.Hour),
		number("inbox.uploads", i.Uploads, 1, 1000),
		{"inbox.bytes", i.Bytes, mib, boundTop, "must be 1MiB or more"},
		{"inbox.total", i.Total, mib, boundTop, "must be 1MiB or more"},
		number("inbox.pieces", i.Pieces, 16, 10_000_000),
	}
}

func number(key string, value, low, high int) bound {
	return bound{key, int64(value), int64(low), int64(high), fmt.Sprintf("must be from %d to %s", low, thousands(high))}
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func size(key string, value, low, high int64) bound {
	return bound{key, value, low, high, fmt.Sprintf("must be from %s to %s", bytesText(low), bytesText(high))}
}

func bytesText(n int64) string {
	if n >= mib {
		return fmt.Sprintf("%dMiB", n>>20)
	}
	return fmt.Sprintf("%dKiB", n>>10)
}

func duration(key string, value, low, high time.Duration) bound {
	return bound{key, int64(value), int64(low), int64(high), fmt.Sprintf("must be from %s to %s", low, high)}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
)

// A client speaks to a running gateway: everything it can do is in the API.
type client struct {
	base string
	key  string
	http *http.Client
}

// clientFlags are the flags of every command that speaks to a gateway.
type clientFlags struct {
	gateway string
	keyFile string
}

func (f *clientFlags) add(command *cobra.Command) {
	address := os.Getenv("PANA_GATEWAY")
	if address == "" {
		address = "http://127.0.0.1:8080"
	}
	command.PersistentFlags().StringVar(&f.gateway, "gateway", address, "address of the gateway (or PANA_GATEWAY)")
	command.PersistentFlags().StringVar(&f.keyFile, "key-file", os.Getenv("PANA_KEY_FILE"), "file that holds your key (or PANA_KEY_FILE)")
}

func (f *clientFlags) client() (*client, error) {
	if f.keyFile == "" {
		return nil, usageError{errors.New("no key: name the file that holds it with --key-file or PANA_KEY_FILE")}
	}
	text, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, usageError{errors.New("the key file cannot be read: " + f.keyFile)}
	}
	key := strings.TrimSpace(string(text))
	if key == "" || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, usageError{errors.New("the key file does not hold one key and nothing else: " + f.keyFile)}
	}
	return newClient(f.gateway, key), nil
}

func newClient(base, key string) *client {
	return &client{base: strings.TrimSuffix(base, "/"), key: key, http: &http.Client{}}
}

// problem is an RFC 9457 document as the gateway sends it.
type problem struct {
	Type    string             `json:"type"`
	Title   string             `json:"title"`
	Status  int                `json:"status"`
	Detail  string             `json:"detail"`
	Errors  []gateway.RowError `json:"errors"`
	Omitted int                `json:"errors_omitted"`
	Rows    int                `json:"rows_refused"`
	Report  *gateway.Report    `json:"report"`
	header  http.Header
}

// Error is what a person reads.
func (p *problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return fmt.Sprintf("%s (%d)", p.Title, p.Status)
}

// lineError is a failure of the line, or of whoever should answer on it.
type lineError struct {
	text string
	once bool // somebody answered, or seemed to
}

// Error is what a person reads.
func (e *lineError) Error() string { return e.text }

// dialled reports whether an error is that of a connection that was never made.
func dialled(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

// call sends a JSON request and decodes a JSON answer. in and out may be nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return usageError{errors.New("the gateway's address is not one: " + c.base)}
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.do(request)
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	err = json.Unmarshal(answer, out)
	if err != nil {
		return errors.New("the gateway's answer is not the JSON that this version reads")
	}
	return nil
}

// do sends a request and returns the body of a good answer; a problem document
// becomes an error with the exit code that fits its status.
func (c *client) do(request *http.Request) ([]byte, error) {
	body, _, err := c.exchange(request)
	return body, err
}

// exchange is do for those who read the answer's headers too.
func (c *client) exchange(request *http.Request) ([]byte, http.Header, error) {
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := c.http.Do(request)
	if err != nil {
		if ctxErr := request.Context().Err(); ctxErr != nil {
			return nil, nil, ctxErr
		}
		return nil, nil, &lineError{fmt.Sprintf("no gateway answers at %s; is it running? (pana serve)", c.base), !dialled(err)}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, &lineError{"the gateway's answer was cut off; try again", true}
	}
	if response.StatusCode < http.StatusBadRequest {
		return body, response.Header, nil
	}
	p := &problem{Status: response.StatusCode, Title: response.Status, header: response.Header}
	_ = json.Unmarshal(body, p) // what is no problem document is told by its status
	if response.StatusCode >= http.StatusInternalServerError {
		return nil, nil, p
	}
	return nil, nil, refusal{p}
}

// waitReady asks until the gateway is ready.
func (c *client) waitReady(ctx context.Context) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := c.http.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// raw sends a JSON request and returns the body of the answer as it is, in the
// media type asked for, and its header.
func (c *client) raw(ctx context.Context, path string, in any, accept string) ([]byte, http.Header, error) {
	encoded, err := json.Marshal(in)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, nil, usageError{errors.New("the gateway's address is not one: " + c.base)}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", accept)
	return c.exchange(request)
}

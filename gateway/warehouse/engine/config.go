package engine

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	_ "embed" // the two templates
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed config.xml
var configXML string

//go:embed users.xml
var usersXML string

// readerMemory is what one question may use; published cells are small.
const readerMemory = 1_000_000_000

// A configuration is what the two templates are filled with.
type configuration struct {
	Data, Users             string // paths
	Port                    int
	Memory, Cache           uint64 // of the whole engine, bytes
	Loader, Builder, Reader uint64 // of one query, bytes
	hash                    func(User) string
}

// Hash returns the SHA-256 of a user's password, for a template.
func (c configuration) Hash(u User) string { return c.hash(u) }

func newConfiguration(dir string, memory uint64, password func(User) string) configuration {
	return configuration{
		Data:    filepath.Join(dir, "data"),
		Users:   filepath.Join(dir, "users.xml"),
		Memory:  memory,
		Cache:   memory / 8,
		Loader:  memory / 2,
		Builder: memory / 10 * 9,
		Reader:  min(readerMemory, memory/4),
		hash: func(u User) string {
			sum := sha256.Sum256([]byte(password(u)))
			return hex.EncodeToString(sum[:])
		},
	}
}

func (c configuration) path(dir string) string { return filepath.Join(dir, "config.xml") }

// write makes the data directory and both files, for the owner only.
func (c configuration) write(dir string) error {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("engine: data directory: %w", err)
	}
	if err := c.fill(configXML, c.path(dir)); err != nil {
		return err
	}
	return c.fill(usersXML, c.Users)
}

func (c configuration) fill(text, path string) error {
	t, err := template.New("").Funcs(template.FuncMap{"xml": escape}).Parse(text)
	if err != nil {
		return fmt.Errorf("engine: template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, c); err != nil {
		return fmt.Errorf("engine: template: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("engine: configuration: %w", err)
	}
	return nil
}

func escape(s string) (string, error) {
	var b bytes.Buffer
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// newPasswords draws a password of 256 bits for each user.
func newPasswords(source io.Reader) (func(User) string, error) {
	if source == nil {
		source = rand.Reader
	}
	drawn := make(map[User]string, len(users))
	for _, u := range users {
		var b [32]byte
		if _, err := io.ReadFull(source, b[:]); err != nil {
			return nil, fmt.Errorf("engine: drawing passwords: %w", err)
		}
		drawn[u] = hex.EncodeToString(b[:])
	}
	return func(u User) string { return drawn[u] }, nil
}

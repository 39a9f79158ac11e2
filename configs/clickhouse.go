package configs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

var databasePattern = regexp.MustCompile(`^[a-z0-9_]+$`)

// maxSecretFile bounds what is read as a password or as certificates.
const maxSecretFile = 1 << 20

// passwordFiles returns the password files by ClickHouse user.
func (c *Config) passwordFiles() map[string]string {
	p := c.ClickHouse.Passwords
	return map[string]string{"admin": p.Admin, "loader": p.Loader, "builder": p.Builder, "reader": p.Reader}
}

func (c *Config) validateClickHouse() error {
	house := c.ClickHouse
	if !databasePattern.MatchString(house.Name) {
		return invalid("clickhouse.name", "must match [a-z0-9_]+")
	}
	if !slices.Contains([]string{"auto", "always", "never"}, house.TLS.Mode) {
		return invalid("clickhouse.tls.mode", "must be auto, always or never")
	}
	for _, address := range house.Addresses {
		if !validAddress(address, false) {
			return invalid("clickhouse.addresses", "must be host:port, such as clickhouse.example:9440")
		}
	}
	for _, user := range []string{"admin", "loader", "builder", "reader"} {
		file := c.passwordFiles()[user]
		switch {
		case file == "" && len(house.Addresses) > 0:
			return invalid("clickhouse.passwords."+user, "a file is required with clickhouse.addresses")
		case file != "" && len(house.Addresses) == 0:
			return invalid("clickhouse.passwords."+user, "is set, but clickhouse.addresses is not")
		}
	}
	return nil
}

// ClickHousePasswords reads the password files and returns the passwords by user.
// It reports Invalid, naming the key alone, for a file that cannot be read, is
// empty, or may be read by others.
func (c *Config) ClickHousePasswords() (func(user string) string, error) {
	secrets := map[string]string{}
	for user, file := range c.passwordFiles() {
		key := "clickhouse.passwords." + user
		text, err := readBounded(file, true)
		if err != nil {
			return nil, invalid(key, "the file cannot be read, or others than its owner can")
		}
		password := bytes.TrimRight(text, "\r\n")
		if len(password) == 0 {
			return nil, invalid(key, "the file is empty")
		}
		secrets[user] = string(password)
	}
	return func(user string) string { return secrets[user] }, nil
}

// ClickHouseTLS returns the TLS settings of the connections to ClickHouse, or nil
// where they use none.
func (c *Config) ClickHouseTLS() (*tls.Config, error) {
	beyond := slices.ContainsFunc(c.ClickHouse.Addresses, func(a string) bool { return !loopback(a) })
	mode := c.ClickHouse.TLS.Mode
	if mode == "never" || (mode == "auto" && !beyond) {
		return nil, nil //nolint:nilnil // nil is how the driver is told to use no TLS
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ClickHouse.TLS.Authority == "" {
		return config, nil
	}
	text, err := readBounded(c.ClickHouse.TLS.Authority, false)
	if err != nil {
		return nil, invalid("clickhouse.tls.authority", "the file cannot be read")
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, invalid("clickhouse.tls.authority", "the file holds no PEM certificate")
	}
	return config, nil
}

// readBounded reads a small file, which if it is private only its owner may read.
func readBounded(file string, private bool) ([]byte, error) {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || (private && info.Mode().Perm()&0o077 != 0) || info.Size() > maxSecretFile {
		return nil, gateway.Invalid
	}
	return io.ReadAll(io.LimitReader(f, maxSecretFile))
}

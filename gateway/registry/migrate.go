package registry

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as a registry ("pana" in ASCII).
const applicationID = 0x70616e61

// migrate brings the file to the newest version, each step in its own transaction.
// It refuses a file of a newer program, and one that is not a registry.
func migrate(ctx context.Context, db *sql.DB) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("listing migrations: %w", err)
	}
	var version, application, tables int
	err = errors.Join(
		db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application),
		db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	switch {
	case err != nil:
		return fmt.Errorf("reading the registry's version: %w", err)
	case application != applicationID && tables > 0:
		return errors.New("registry: the file is a database, but not a registry")
	case version > len(names):
		return fmt.Errorf("registry: the file has version %d, this program knows %d: use a newer pana", version, len(names))
	}
	for i := version; i < len(names); i++ {
		if err := migrateTo(ctx, db, names[i], i+1); err != nil {
			return err
		}
	}
	return nil
}

func migrateTo(ctx context.Context, db *sql.DB, name string, version int) error {
	script, err := migrations.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("applying %s: %w", name, err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version)
	for _, text := range []string{string(script), marks} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("applying %s: %w", name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("applying %s: %w", name, err)
	}
	return nil
}

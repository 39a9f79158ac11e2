// Package disclosure turns counted cells into tables that may be published.
package disclosure

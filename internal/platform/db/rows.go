package db

import "database/sql"

// Scanner is a row: *sql.Row or *sql.Rows.
type Scanner interface{ Scan(...any) error }

// All reads what a Query gave with one scan function, and closes it. No rows are an empty slice, never nil.
func All[T any](rows *sql.Rows, err error, scan func(Scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Column scans rows of one column.
func Column[T any](row Scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

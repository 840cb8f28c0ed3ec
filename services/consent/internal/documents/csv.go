package documents

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// byteOrderMark comes first, because without it spreadsheets read æ, ø and å wrong.
const byteOrderMark = "\uFEFF"

// formulaStarts are the characters with which spreadsheets take a cell for a formula, or skip on the way to one: with the
// full-width forms that some of them read alike.
const formulaStarts = "=+-@＝＋－＠"

// table prints rows as CSV (RFC 4180). Every cell is quoted, so that a program that expects another separator cannot split one and
// find a formula in the middle; one that begins like a formula gets a leading apostrophe.
func table(rows [][]string) []byte {
	var b bytes.Buffer
	b.WriteString(byteOrderMark)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('"')
			b.WriteString(strings.ReplaceAll(harmless(plain(cell)), `"`, `""`))
			b.WriteByte('"')
		}
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

func harmless(cell string) string {
	if first, size := utf8.DecodeRuneInString(cell); size > 0 && strings.ContainsRune(formulaStarts, first) {
		return "'" + cell
	}
	return cell
}

// Package evidencereport writes what people read of an evidence package: the report in Danish and English, the page that opens it, and
// the list of measures. The pages are whole in themselves: nothing in them is loaded and nothing runs. Charts are SVG with titles and
// descriptions, and every number in them stands in a table too.
package evidencereport

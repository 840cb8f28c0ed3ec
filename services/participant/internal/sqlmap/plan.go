package sqlmap

import "github.com/privacyops/privacyops/services/participant/internal/datamap"

// plan is a data map bound to the catalogue: every name in it is a real column.
type plan struct {
	m          *datamap.Map
	table      *table // the person table
	key        *column
	controller *column // nil when the database has one controller
	ids        []identifier
	columns    []*column // person columns that are read for a person, in this order
	datasets   []*dataset
	order      []*dataset // of erasure; the person's own row is last
	mentions   []*mention
	cascades   [][2]*dataset // deleting from the first also changes rows of the second
	strangers  []stranger
}

// identifier is an identifier of the person table.
type identifier struct {
	def *datamap.Identifier
	col *column
}

// dataset is a dataset of the map with its columns found.
type dataset struct {
	def      *datamap.Dataset
	table    *table
	key      []*column
	hops     []hop // empty for the person's own row
	target   *column
	changes  []change
	exported []*column
	withheld []withheld
}

// hop is a join: from a column of the table before it to a column of table.
type hop struct {
	from  *column
	table *table
	to    *column
}

// withheld is a column that exports leave out.
type withheld struct {
	col             *column
	ground, article string
}

// mention is a mention of the map with its columns found.
type mention struct {
	def   *datamap.Mention
	table *table
	col   *column
	match []*column
}

// stranger is a foreign key to the person table that no dataset follows.
type stranger struct {
	table  *table
	column *column
}

// link is the column of the dataset's own table that the path starts with, nil for
// the person's own row.
func (d *dataset) link() *column {
	if len(d.hops) == 0 {
		return nil
	}
	return d.hops[0].from
}

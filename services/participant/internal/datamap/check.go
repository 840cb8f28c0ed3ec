package datamap

import (
	"regexp"
	"slices"
	"strings"
)

var (
	idPattern       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	upperPattern    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)
	categoryPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
)

func isID(s string) string {
	if !idPattern.MatchString(s) {
		return "must be 1 to 63 of a-z, 0-9 and '-', and not begin with '-'"
	}
	return ""
}

func isUpper(s string) string {
	if !upperPattern.MatchString(s) {
		return "must be UPPER_SNAKE, at most 63 characters"
	}
	return ""
}

func isCategory(s string) string {
	if !categoryPattern.MatchString(s) {
		return "must be a letter and then letters, digits, '_' or '-', at most 63 characters"
	}
	return ""
}

// isName accepts whatever a database accepts as a quoted name.
func isName(s string) string {
	if s == "" || len(s) > 255 {
		return "must be 1 to 255 bytes long"
	}
	return noNUL(s)
}

func noNUL(s string) string {
	if strings.ContainsRune(s, 0) {
		return "must not contain a NUL character"
	}
	return ""
}

func isProse(s string) string {
	if strings.TrimSpace(s) == "" {
		return "must not be empty"
	}
	if len(s) > 2000 {
		return "must be at most 2000 bytes long"
	}
	return noNUL(s)
}

// check applies the rules that span several parts of the map.
func (d *decoder) check(m *Map) {
	d.checkPerson(m)
	d.checkNames(m)
	d.checkIdentity(m)
	for i := range m.Datasets {
		d.checkPath(m, &m.Datasets[i])
		d.checkExport(&m.Datasets[i])
	}
	d.checkTables(m)
}

func (d *decoder) checkPerson(m *Map) {
	usable := false
	seen := map[[2]string]bool{}
	for _, id := range m.Person.Identifiers {
		usable = usable || !id.Shared
		k := [2]string{id.Type, id.Column}
		if seen[k] {
			d.fail(id.Pos, "identifier %s in column %q is listed twice", id.Type, id.Column)
		}
		seen[k] = true
	}
	if !usable {
		d.fail(m.Person.Pos, "person: at least one identifier must not be shared, or nobody can be found")
	}
}

func (d *decoder) checkNames(m *Map) {
	seen := map[string]bool{}
	unique := func(pos Pos, name string) {
		if seen[name] {
			d.fail(pos, "the name %q is used twice", name)
		}
		seen[name] = true
	}
	for i := range m.Datasets {
		unique(m.Datasets[i].Pos, m.Datasets[i].Name)
	}
	for i := range m.Mentions {
		unique(m.Mentions[i].Pos, m.Mentions[i].Name)
	}
}

// checkIdentity: exactly one dataset without a path, on the person table.
func (d *decoder) checkIdentity(m *Map) {
	found := 0
	for i := range m.Datasets {
		s := &m.Datasets[i]
		if !s.Identity() {
			continue
		}
		if s.Table != m.Person.Table {
			d.fail(s.Pos, "dataset %q needs a path: only the person table %q goes without one", s.Name, m.Person.Table)
			continue
		}
		if found++; found > 1 {
			d.fail(s.Pos, "dataset %q: the person's own row is already another dataset", s.Name)
		}
		if len(s.Key) > 0 && !slices.Equal(s.Key, []string{m.Person.Key}) {
			d.fail(s.KeyPos, "dataset %q: the key of the person's own row is person.key", s.Name)
		}
	}
	if found == 0 {
		d.fail(m.Person.Pos, "no dataset covers the person's own row: add one on table %q without a path", m.Person.Table)
	}
}

// checkPath: the last join ends at the person table, and marks it.
func (d *decoder) checkPath(m *Map, s *Dataset) {
	if s.Identity() {
		return
	}
	last := &s.Path[len(s.Path)-1]
	if last.Table != m.Person.Table {
		d.fail(last.Pos, "dataset %q: the path must end at person", s.Name)
	}
	last.Person = true
}

func (d *decoder) checkExport(s *Dataset) {
	seen := map[string]bool{}
	for _, c := range s.Others {
		seen[c.Name] = true
	}
	for _, x := range s.Exclude {
		if seen[x.Column] {
			d.fail(x.Pos, "column %q is withheld twice", x.Column)
		}
		seen[x.Column] = true
	}
}

// checkTables: datasets that share a table agree on its key and on new values.
func (d *decoder) checkTables(m *Map) {
	first := map[string]*Dataset{}
	values := map[[2]string]Change{}
	for i := range m.Datasets {
		s := &m.Datasets[i]
		if f := first[s.Table]; f == nil {
			first[s.Table] = s
		} else if !slices.Equal(keyOf(m, f), keyOf(m, s)) {
			d.fail(s.Pos, "datasets %q and %q share table %q and must have the same key", f.Name, s.Name, s.Table)
		}
		for _, c := range s.Erase.Columns {
			k := [2]string{s.Table, c.Column}
			old, ok := values[k]
			if c.Do == KeepColumn {
				continue
			}
			if !ok {
				values[k] = c
			} else if old.Do != c.Do || old.With != c.With || old.To != c.To || old.Unit != c.Unit {
				d.fail(c.Pos, "column %q of table %q is set to another value on line %d", c.Column, s.Table, old.Pos.Line)
			}
		}
	}
}

func keyOf(m *Map, s *Dataset) []string {
	if s.Identity() || (len(s.Key) == 0 && s.Table == m.Person.Table) {
		return []string{m.Person.Key}
	}
	return s.Key
}

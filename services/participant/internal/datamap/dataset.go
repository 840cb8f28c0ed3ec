package datamap

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// maxJoins bounds a path; longer ones are a mistake in the map.
const maxJoins = 8

func (d *decoder) dataset(n *yaml.Node, i int, p *Person) Dataset {
	o := d.object(n, fmt.Sprintf("datasets[%d]", i), "name", "table", "key", "path", "category", "activity",
		"subjectProvided", "others", "export", "erase")
	s := Dataset{
		Pos: o.pos, Name: o.text("name", true, isID),
		Table: o.text("table", true, isName), TablePos: o.position("table"), KeyPos: o.position("key"),
		Category: o.text("category", true, isCategory), Activity: o.text("activity", true, isID),
		SubjectProvided: o.flag("subjectProvided", false),
		Others:          o.names("others"),
	}
	for _, c := range o.names("key") {
		s.Key = append(s.Key, c.Name)
	}
	o.list("path", false, func(_ int, n *yaml.Node) { s.Path = append(s.Path, d.join(n, p)) })
	if x := o.get("path", false); x != nil && x.Kind == yaml.SequenceNode {
		d.path(&s, x)
	}
	if x := o.get("export", false); x != nil {
		s.Exclude = d.exclude(x)
	}
	if x := o.get("erase", true); x != nil {
		s.Erase = d.erase(x)
	}
	return s
}

func (d *decoder) join(n *yaml.Node, p *Person) Join {
	o := d.object(n, "a join", "column", "to")
	j := Join{Pos: o.pos, Column: o.text("column", true, isName), ToPos: o.position("to")}
	to := o.get("to", true)
	if to == nil {
		return j
	}
	if to.Kind == yaml.ScalarNode {
		if to.Value != "person" {
			d.fail(at(to), `to must be person, or {table: …, column: …}`)
		}
		j.Table, j.ToColumn, j.Person = p.Table, p.Key, true
		return j
	}
	t := d.object(to, "to", "table", "column")
	j.Table, j.ToColumn = t.text("table", true, isName), t.text("column", true, isName)
	return j
}

// path checks the shape of a path: it ends at the person, once.
func (d *decoder) path(s *Dataset, n *yaml.Node) {
	if len(s.Path) == 0 {
		d.fail(at(n), "path must not be empty; leave it out for the person's own row")
		return
	}
	if len(s.Path) > maxJoins {
		d.fail(at(n), "path has %d joins, at most %d are allowed", len(s.Path), maxJoins)
	}
	for i, j := range s.Path[:len(s.Path)-1] {
		if j.Person {
			d.fail(s.Path[i].Pos, "only the last join of a path leads to person")
		}
	}
}

func (d *decoder) exclude(n *yaml.Node) []Exclude {
	var out []Exclude
	d.object(n, "export", "exclude").list("exclude", true, func(i int, n *yaml.Node) {
		o := d.object(n, fmt.Sprintf("exclude[%d]", i), "column", "ground", "article")
		out = append(out, Exclude{Pos: o.pos, Column: o.text("column", true, isName),
			Ground: o.text("ground", true, isUpper), Article: o.text("article", true, isProse)})
	})
	return out
}

func (d *decoder) erase(n *yaml.Node) Erase {
	o := d.object(n, "erase", "action", "columns", "ground", "article", "explanation")
	e := Erase{Pos: o.pos, Action: Action(o.choice("action", true, string(Delete), string(Columns), string(Keep)))}
	keep := e.Action == Keep
	if e.Action == Columns {
		if c := o.get("columns", true); c != nil {
			e.Columns = d.changes(c)
		}
	}
	if e.Action != Columns && o.keys["columns"] != nil {
		d.fail(o.position("columns"), "columns belongs to action: columns only")
	}
	for _, k := range []string{"ground", "article"} {
		if !keep && e.Action != "" && o.keys[k] != nil {
			d.fail(o.position(k), "%s belongs to action: keep only", k)
		}
	}
	e.Ground, e.Article = o.text("ground", keep, isUpper), o.text("article", keep, isProse)
	e.Explanation = d.explanation(o, keep)
	return e
}

func (d *decoder) changes(n *yaml.Node) []Change {
	var out []Change
	d.each(n, "columns", func(name string, key, value *yaml.Node) {
		if wrong := isName(name); wrong != "" {
			d.fail(at(key), "a column name %s", wrong)
			return
		}
		out = append(out, d.change(name, key, value))
	})
	if len(out) == 0 && n.Kind == yaml.MappingNode {
		d.fail(at(n), "columns must name at least one column")
	}
	return out
}

func (d *decoder) change(name string, key, value *yaml.Node) Change {
	o := d.object(value, fmt.Sprintf("columns.%s", name), "do", "with", "to", "unit")
	c := Change{Pos: at(key), Column: name,
		Do: Do(o.choice("do", true, string(Null), string(Replace), string(Generalise), string(KeepColumn)))}
	switch c.Do {
	case Null, KeepColumn: // say all there is to say
	case Replace:
		c.With = o.constant("with")
	case Generalise:
		c.To = o.choice("to", true, "year", "month", "day")
		c.Unit = o.choice("unit", false, "seconds", "milliseconds", "microseconds")
	}
	for _, only := range []struct {
		key   string
		owner Do
	}{{"with", Replace}, {"to", Generalise}, {"unit", Generalise}} {
		if c.Do != "" && c.Do != only.owner && o.keys[only.key] != nil {
			d.fail(o.position(only.key), "%s belongs to do: %s only", only.key, only.owner)
		}
	}
	return c
}

package datamap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxSize is the largest data map that is read, in bytes.
const MaxSize = 1 << 20

// Load reads the data map in a file. The error is an [Errors] unless the file
// could not be read.
func Load(path string) (*Map, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(filepath.Base(path), b)
}

// Parse reads a data map. file is used in errors only, which are [Errors].
func Parse(file string, src []byte) (*Map, error) {
	d := &decoder{file: file}
	root := d.document(src)
	if root == nil {
		return nil, d.errs.Err()
	}
	m := d.mapping(root)
	m.File = file
	if len(d.errs) == 0 {
		d.check(m)
	}
	if err := d.errs.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// document returns the root of the one document in src, or nil after an error.
func (d *decoder) document(src []byte) *yaml.Node {
	start := Pos{1, 1}
	if len(src) > MaxSize {
		d.fail(start, "the file is larger than %d bytes", MaxSize)
		return nil
	}
	if !utf8.Valid(src) {
		d.fail(start, "the file is not UTF-8 text")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		d.syntax(src, err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			d.syntax(src, err)
		} else {
			d.fail(at(&more), "a data map is one document")
		}
		return nil
	}
	if !d.plain(&doc) || len(doc.Content) != 1 {
		return nil
	}
	return doc.Content[0]
}

var (
	yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)
	// lineBefore are the errors for which the YAML reader counts lines from 0.
	lineBefore = regexp.MustCompile(`^did not find expected (<|',' or|'-' indicator|key$|node content)`)
	badAlias   = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)
)

// syntax reports an error of the YAML reader, which knows the line at best.
func (d *decoder) syntax(src []byte, err error) {
	if errors.Is(err, io.EOF) {
		d.fail(Pos{1, 1}, "the file is empty")
		return
	}
	pos, msg := Pos{1, 1}, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		msg = err.Error()[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			pos.Line = n
		}
	}
	if lineBefore.MatchString(msg) {
		pos.Line++
	}
	if m := badAlias.FindStringSubmatch(msg); m != nil {
		msg = "aliases are not allowed in a data map"
		if i := bytes.Index(src, []byte("*"+m[1])); i >= 0 {
			before := src[:i]
			pos = Pos{1 + bytes.Count(before, []byte("\n")), i - bytes.LastIndexByte(before, '\n')}
		}
	}
	d.fail(pos, "%s", msg)
}

// plain refuses what could make a map mean something else than it shows.
func (d *decoder) plain(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		d.fail(at(n), "aliases are not allowed in a data map")
		return false
	}
	if n.Anchor != "" {
		d.fail(at(n), "anchors are not allowed in a data map")
		return false
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.fail(at(n), "tags are not allowed in a data map")
		return false
	}
	for _, c := range n.Content {
		if !d.plain(c) {
			return false
		}
	}
	return true
}

func (d *decoder) mapping(n *yaml.Node) *Map {
	o := d.object(n, "the data map", "version", "system", "schema", "person", "datasets", "mentions")
	m := &Map{
		Version: d.version(o),
		System:  o.text("system", true, isID),
		Schema:  o.text("schema", false, isName),
	}
	if p := o.get("person", true); p != nil {
		m.Person = d.person(p)
	}
	o.list("datasets", true, func(i int, n *yaml.Node) { m.Datasets = append(m.Datasets, d.dataset(n, i, &m.Person)) })
	o.list("mentions", false, func(i int, n *yaml.Node) { m.Mentions = append(m.Mentions, d.mention(n, i)) })
	return m
}

func (d *decoder) version(o *object) int {
	n := o.get("version", true)
	if n != nil && (n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Value != "1") {
		d.fail(at(n), "version must be 1")
	}
	return 1
}

// identifierTypes are the types of the participant protocol.
var identifierTypes = []string{"UNILOGIN", "LOCAL_PERSON_ID", "EMAIL", "PLATFORM_USER_ID", "PHONE", "STUDENT_NUMBER"}

func (d *decoder) person(n *yaml.Node) Person {
	o := d.object(n, "person", "table", "key", "controller", "identifiers")
	p := Person{
		Pos:   o.pos,
		Table: o.text("table", true, isName), TablePos: o.position("table"),
		Key: o.text("key", true, isName), KeyPos: o.position("key"),
		Controller: o.text("controller", false, isName), CtrlPos: o.position("controller"),
	}
	o.list("identifiers", true, func(i int, n *yaml.Node) {
		o := d.object(n, fmt.Sprintf("identifiers[%d]", i), "type", "column", "shared", "provide")
		shared := o.flag("shared", false)
		p.Identifiers = append(p.Identifiers, Identifier{
			Pos: o.pos, Type: o.choice("type", true, identifierTypes...), Column: o.text("column", true, isName),
			Shared: shared, Provide: o.flag("provide", !shared),
		})
		if last := p.Identifiers[i]; last.Shared && last.Provide {
			d.fail(o.position("provide"), "a shared identifier is never offered to other systems; take provide out")
		}
	})
	return p
}

func (d *decoder) mention(n *yaml.Node, i int) Mention {
	o := d.object(n, fmt.Sprintf("mentions[%d]", i),
		"name", "table", "column", "match", "category", "activity", "ground", "article", "explanation")
	m := Mention{
		Pos: o.pos, Name: o.text("name", true, isID),
		Table: o.text("table", true, isName), TablePos: o.position("table"),
		Column: o.text("column", true, isName), ColumnPos: o.position("column"),
		Match:    o.names("match"),
		Category: o.text("category", false, isCategory), Activity: o.text("activity", true, isID),
		Ground: o.text("ground", true, isUpper), Article: o.text("article", true, isProse),
		Explanation: d.explanation(o, true),
	}
	if m.Category == "" {
		m.Category = "MENTION"
	}
	if len(m.Match) == 0 {
		d.fail(o.pos, "mentions[%d]: match must name at least one column of the person table", i)
	}
	return m
}

func (d *decoder) explanation(o *object, required bool) Explanation {
	n := o.get("explanation", required)
	if n == nil {
		return Explanation{}
	}
	e := d.object(n, "explanation", "da", "en")
	return Explanation{DA: e.text("da", true, isProse), EN: e.text("en", true, isProse)}
}

// Package datamap reads the data map of a system: the declaration of where a
// relational system keeps data about a person, how each place is reached from
// that person, and what happens to it when the person is exported or erased.
//
// A data map is YAML, written by whoever knows the schema, read strictly, and
// checked against the live database by the adapter that uses it (package
// sqlmap). Every error names the file, line and column:
//
//	datamap.yaml:12:7: unknown key "tabel"; did you mean "table"?
//
// # The format, version 1
//
//	version: 1                      # required, 1
//	system: sample-lms              # required, id: a-z 0-9 and '-', at most 63
//	schema: public                  # optional, PostgreSQL only; default: the connection's current schema
//
//	person:                         # required: the table with one row per person
//	  table: users                  # required
//	  key: id                       # required: ONE column that identifies the row and that other tables point at
//	  controller: school            # optional: column whose value must equal the request's controller id;
//	                                #   without it the whole database belongs to one controller
//	  identifiers:                  # required: at least one that is not shared; strongest first (see below)
//	    - {type: UNILOGIN, column: username}
//	    - {type: LOCAL_PERSON_ID, column: idnumber}
//	    - {type: EMAIL, column: email}
//	    - {type: EMAIL, column: parent_email, shared: true}      # a parent's: never followed, never erased by, reported
//	    - {type: PLATFORM_USER_ID, column: id, provide: false}   # looked up by, but not offered to other systems
//
//	datasets:                       # required, at least one; exactly one of them is the person's own row
//	  - name: profile               # required, id, unique
//	    table: users                # required; the person table without a path is the person's own row
//	    category: IDENTITY          # required: data category, a letter, then letters, digits, '_' and '-'
//	    activity: teaching          # required: id of the processing activity the data belong to
//	    subjectProvided: true       # optional, default false: given by the person (GDPR art. 20)
//	    erase: {action: delete}     # required, see below
//
//	  - name: texts                 # one dataset = one table + one path
//	    table: submission_texts
//	    key: [id]                   # optional: the columns that identify a row; default: the primary key
//	    path:                       # from this table, join by join, to the person
//	      - {column: submission, to: {table: submissions, column: id}}
//	      - {column: userid, to: person}                         # person = person.table, person.key
//	    category: SCHOOL_WORK
//	    activity: teaching
//	    subjectProvided: true
//	    others: [peer_comment]      # optional: columns that speak of other people; withheld from exports (art. 15(4))
//	    export:                     # optional; default: every column, also one added later
//	      exclude:
//	        - {column: rank_hint, ground: TRADE_SECRET, article: "GDPR art. 15(4)"}
//	    erase: {action: delete}
//
//	mentions:                       # optional: text that others wrote and that names the person
//	  - name: mentions-in-posts     # id, unique among datasets and mentions
//	    table: posts
//	    column: message             # a text column
//	    match: [display_name]       # person columns whose values are searched for, as whole words
//	    category: COMMUNICATION     # optional, default MENTION
//	    activity: teaching          # required
//	    ground: FREEDOM_OF_EXPRESSION                            # required, as for action keep
//	    article: "GDPR art. 17(3)(a)"                            # required
//	    explanation: {da: "…", en: "…"}                          # required, both languages
//
// # Erasure actions
//
//	erase: {action: delete}                     # the row goes
//
//	erase:                                      # the row stays, some of its columns change (ANONYMISE)
//	  action: columns
//	  columns:
//	    ip:      {do: "null"}                   # null; refused for a NOT NULL column (a bare null is read too)
//	    grader:  {do: replace, with: 0}         # a constant that fits the column's type
//	    name:    {do: replace, with: "erased-{key}"}  # {key} = the row's key; needed where the column is unique
//	    born:    {do: generalise, to: year}     # year, month or day; dates, timestamps, ISO 8601 text, unix integers
//	    seen:    {do: generalise, to: month, unit: microseconds}  # integers: seconds (default), milliseconds, microseconds
//	    status:  {do: keep}                     # said aloud; a column that is not named stays as it is
//
//	erase:                                      # the row stays as it is
//	  action: keep
//	  ground: BOOKKEEPING_ACT                   # required, UPPER_SNAKE
//	  article: "GDPR art. 17(3)(b)"             # required
//	  explanation: {da: "…", en: "…"}           # required: what the pupil or the parent reads
//
// An explanation may stand beside every action.
//
// # Several datasets on one table
//
// A table that speaks of a pupil and of a grader is two datasets: "grades" by
// userid (delete) and "grades-given" by grader (columns, the row stays because
// it is the pupil's). All datasets of a table have the same key. Where one row
// is reached by several of them: keep outranks delete, delete outranks columns,
// and a row is counted once for a delete. Two datasets may not set one column to
// different values.
//
// # Paths
//
// A path has 1 to 8 joins. Only the last one ends at the person, either as
// "person" (the key) or as {table: <person table>, column: username} for tables
// that repeat an identifier; a value that several people have is then not
// followed. The two sides of a join must have comparable types.
//
// # Strength of identifiers
//
// The order of person.identifiers is the order of strength. A request may name
// several identifiers. One that matches several people is shared: reported,
// never followed. One that leads to a row which contradicts a stronger
// identifier of the same request (another, non-empty value) is treated the same
// way. Values are compared exactly, after Unicode normalisation of the request's.
// The types are UNILOGIN, LOCAL_PERSON_ID, EMAIL, PLATFORM_USER_ID, PHONE and
// STUDENT_NUMBER; one type may stand in several columns.
//
// # What is refused
//
// Unknown and duplicate keys, anchors, aliases, merge keys, custom tags, more
// than one document, files over 1 MiB ([MaxSize]), values of the wrong type, and
// enumeration values that are not in the list the error then names.
package datamap

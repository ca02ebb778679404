# SPDX-License-Identifier: BSD-3-Clause
# header.awk: a manual page (mdoc) of a public header whose comments are kernel-doc, by any awk.
#
#	awk -f header.awk -v title="UVFIO 3" -v date="..." -v see="uvfio 1,..." \
#		-v example=FILE HEADER >PAGE
#	awk -f header.awk -v names=1 HEADER >NAMES
#
# The second prints the functions' names, a line each. Either fails, with the place, for a
# declaration without a comment of its own, a parameter, member or value that is not described, one
# that is described and is not there, and a function without its Context or, if it returns
# something, its Return. The page has the head comment of the header, its prototypes, and what the
# comments say, under the headings of the lines that look like "---- registers ----".

function fail(line, what)
{
	printf "%s:%d: %s\n", FILENAME, line, what >"/dev/stderr"
	bad = 1
}

function trim(s)
{
	gsub(/^[ \t]+|[ \t]+$/, "", s)
	return s
}

# A C text without comments, blanks made one space.
function plain(s)
{
	while (match(s, /\/\*([^*]|\*+[^*\/])*\*+\//))
		s = substr(s, 1, RSTART - 1) " " substr(s, RSTART + RLENGTH)
	gsub(/[ \t\n]+/, " ", s)
	return trim(s)
}

# ---- writing ----

# Text for mdoc: @name in italics, func() in bold, a sentence or piece of one on each line.
function fill(s,    out, word, n, i, len, w, sep)
{
	gsub(/\\/, "\\e", s)
	n = split(s, w, /[ \t\n]+/)
	for (i = 1; i <= n; i++) {
		word = w[i]
		if (word == "")
			continue
		if (match(word, /@[a-z_][a-z_0-9]*/))
			word = substr(word, 1, RSTART - 1) "\\fI" \
				substr(word, RSTART + 1, RLENGTH - 1) \
				"\\fR" substr(word, RSTART + RLENGTH)
		if (match(word, /[a-z][a-z_0-9]*\(\)/))
			word = substr(word, 1, RSTART - 1) "\\fB" \
				substr(word, RSTART, RLENGTH - 2) \
				"\\fR()" substr(word, RSTART + RLENGTH)
		gsub(/-/, "\\-", word)
		sep = " "
		if (len + length(word) > 76 || out ~ /[.!?]["')]*$/)
			sep = "\n"
		if (out == "" || sep == "\n") {
			if (word ~ /^['.]/)
				word = "\\&" word
			len = 0
		}
		out = out (out == "" ? "" : sep) word
		len += length(word) + 1
	}
	return out
}

function literal(s)
{
	gsub(/\\/, "\\e", s)
	gsub(/\t/, "        ", s)
	if (s ~ /^['.]/)
		s = "\\&" s
	return s
}

# The text of a comment: paragraphs, between empty lines. One that is indented by tabs is code.
function paragraphs(s,    p, n, i, code, m, l, j)
{
	n = split(s, p, /\n[ \t]*\n/)
	for (i = 1; i <= n; i++) {
		sub(/^\n+/, "", p[i])
		if (trim(p[i]) == "")
			continue
		if (p[i] ~ /^\t/) {
			print ".Bd -literal"
			m = split(p[i], l, "\n")
			for (j = 1; j <= m; j++)
				print literal(l[j])
			print ".Ed"
		} else {
			print ".Pp"
			print fill(p[i])
		}
	}
}

# ---- a comment ----

# Take comment @s apart: doc_title, doc_short, doc_text, doc_return, doc_context, and doc_of[NAME]
# with doc_names in their order. A line that is indented by a tab goes on with the @name above it.
function parse_doc(s, line,    n, i, l, where, name, t)
{
	split("", doc_of)
	doc_num = 0
	doc_title = doc_short = doc_text = doc_return = doc_context = ""
	doc_line = line
	n = split(s, l, "\n")
	where = "title"
	for (i = 1; i <= n; i++) {
		t = l[i]
		if (t ~ /^@[A-Za-z_][A-Za-z_0-9.]*:/) {
			name = substr(t, 2, index(t, ":") - 2)
			if (name in doc_of)
				fail(line, "@" name " is described twice")
			doc_names[++doc_num] = name
			doc_of[name] = trim(substr(t, index(t, ":") + 1))
			where = "name"
		} else if (t ~ /^Return:/) {
			doc_return = trim(substr(t, 8))
			where = "return"
		} else if (t ~ /^Context:/) {
			doc_context = trim(substr(t, 9))
			where = "context"
		} else if (where == "title" && doc_title == "" && trim(t) != "") {
			if (!match(t, / - /)) {
				fail(line, "a comment begins with: name - What it is.")
				continue
			}
			doc_title = trim(substr(t, 1, RSTART - 1))
			doc_short = trim(substr(t, RSTART + 3))
		} else if (where == "name" && t ~ /^[ \t]/) {
			doc_of[name] = doc_of[name] " " trim(t)
		} else if (where == "return" && trim(t) != "") {
			doc_return = doc_return " " trim(t)
		} else if (where == "context" && trim(t) != "") {
			doc_context = doc_context " " trim(t)
		} else if (where == "title" && trim(t) != "" && doc_text == "") {
			doc_short = doc_short " " trim(t)
		} else if (trim(t) == "") {
			if (where == "title" || where == "name")
				where = "text"
			if (doc_text != "")
				doc_text = doc_text "\n\n"
		} else {
			# one paragraph of Return: or Context: ends with an empty line
			where = "text"
			doc_text = doc_text (doc_text ~ /[^\n]$/ ? "\n" : "") t
		}
	}
}

# Check that comment and declaration have the same names; @n names in @want.
function check_names(want, n, line, what,    i, have)
{
	for (i = 1; i <= n; i++) {
		have[want[i]] = 1
		if (!(want[i] in doc_of))
			fail(line, what ": @" want[i] " is not described")
	}
	for (i = 1; i <= doc_num; i++)
		if (!(doc_names[i] in have) && !index(doc_names[i], "."))
			fail(line, what ": @" doc_names[i] " is described, and is not there")
}

function described(    i)
{
	if (!doc_num)
		return
	print ".Bl -tag -width Ds -compact"
	for (i = 1; i <= doc_num; i++) {
		print ".It Fa " doc_names[i]
		print fill(doc_of[doc_names[i]])
	}
	print ".El"
}

# ---- declarations ----

# The last name in @s, without an array's brackets.
function last_name(s)
{
	sub(/\[[^]]*\]$/, "", s)
	s = trim(s)
	if (match(s, /[A-Za-z_][A-Za-z_0-9]*$/))
		return substr(s, RSTART, RLENGTH)
	return ""
}

# The name of a parameter or member; a pointer to a function has it in (*name)
function name_of(s)
{
	if (match(s, /\(\*[a-z_0-9]+\)/))
		return substr(s, RSTART + 2, RLENGTH - 3)
	return last_name(s)
}

# Split at @sep outside of brackets and braces: out[1..n].
function split_outside(s, sep, out,    i, c, depth, n, from)
{
	from = 1
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (index("({[", c))
			depth++
		else if (index(")}]", c))
			depth--
		else if (c == sep && !depth) {
			out[++n] = trim(substr(s, from, i - from))
			from = i + 1
		}
	}
	if (trim(substr(s, from)) != "")
		out[++n] = trim(substr(s, from))
	return n
}

function emit(kind, name)
{
	items++
	item_kind[items] = kind
	item_name[items] = name
	item_section[items] = section
	item_doc[items] = doc
	item_line[items] = doc_at
}

function a_function(s, line,    open, head, n, i, par, want, name, type)
{
	sub(/ *__attribute__.*$/, "", s)
	sub(/;$/, "", s)
	sub(/^UVFIO_PUBLIC +/, "", s)
	open = match(s, /[a-z_][a-z_0-9]* ?\(/)
	name = trim(substr(s, RSTART, RLENGTH - 1))
	type = trim(substr(s, 1, open - 1))
	head = substr(s, open + RLENGTH)
	sub(/\)$/, "", head)
	if (names)
		print name
	if (!doc_at) {
		fail(line, name "() has no comment")
		return
	}
	parse_doc(doc, doc_at)
	if (doc_title != name "()")
		fail(doc_at, "the comment of " name "() begins with: " name "() - ")
	n = split_outside(head, ",", par)
	if (n == 1 && par[1] == "void")
		n = 0
	for (i = 1; i <= n; i++)
		want[i] = par[i] == "..." ? "..." : name_of(par[i])
	for (i = n; i >= 1 && want[i] == "..."; i--)
		n--
	check_names(want, n, doc_at, name "()")
	if (doc_context == "")
		fail(doc_at, name "(): Context: is missing")
	if (type != "void" && doc_return == "")
		fail(doc_at, name "(): Return: is missing")
	if (type == "void" && doc_return != "")
		fail(doc_at, name "(): Return: of a function that returns nothing")
	emit("function", name)
	item_type[items] = type
	item_args[items] = head
}

# Members of a struct, and the comments inside: appended to the struct's own as @name: text.
function a_struct(raw, line,    s, name, body, n, m, i, j, k, parts, want, w, rest, c, at, l, nl)
{
	s = plain(raw)
	match(s, /^struct [a-z_0-9]+/)
	name = substr(s, 1, RLENGTH)
	if (!doc_at) {
		fail(line, name " has no comment")
		return
	}
	# comments of members
	rest = raw
	while (match(rest, /\/\*\*([^*]|\*+[^*\/])*\*+\//)) {
		c = substr(rest, RSTART + 3, RLENGTH - 5)
		rest = substr(rest, RSTART + RLENGTH)
		nl = split(c, l, "\n")
		at = ""
		for (i = 1; i <= nl; i++) {
			sub(/^[ \t]*\*? ?/, "", l[i])
			at = at (trim(l[i]) == "" ? "" : (at == "" ? "" : "\n\t") l[i])
		}
		doc = doc "\n" at
	}
	parse_doc(doc, doc_at)
	if (doc_title != name)
		fail(doc_at, "the comment of " name " begins with: " name " - ")
	if (match(s, /\{.*\}/)) {
		body = substr(s, RSTART + 1, RLENGTH - 2)
		n = split_outside(body, ";", m)
		for (i = 1; i <= n; i++) {
			k = m[i] ~ /\(\*/ ? 1 : split_outside(m[i], ",", parts)
			if (k == 1)
				parts[1] = m[i]
			for (j = 1; j <= k; j++)
				want[++w] = name_of(parts[j])
			if (m[i] ~ /\(\*/ && m[i] !~ /^void \(\*/ && \
			    doc_of[want[w]] !~ /Return:? /)
				fail(line, name ": @" want[w] " does not say what it returns")
		}
	}
	check_names(want, w, doc_at, name)
	emit("struct", name)
	item_raw[items] = raw
	item_doc[items] = doc
}

function an_enum(raw, line,    s, name, body, n, v, i, want)
{
	s = plain(raw)
	match(s, /^enum [a-z_0-9]+/)
	name = substr(s, 1, RLENGTH)
	if (!doc_at) {
		fail(line, name " has no comment")
		return
	}
	parse_doc(doc, doc_at)
	if (doc_title != name)
		fail(doc_at, "the comment of " name " begins with: " name " - ")
	match(s, /\{.*\}/)
	body = substr(s, RSTART + 1, RLENGTH - 2)
	n = split_outside(body, ",", v)
	for (i = 1; i <= n; i++) {
		sub(/ *=.*/, "", v[i])
		want[i] = v[i]
	}
	check_names(want, n, doc_at, name)
	emit("enum", name)
	item_raw[items] = raw
}

function a_define(s, line,    name)
{
	match(s, /^#define +[A-Za-z_0-9]+/)
	name = substr(s, 1, RLENGTH)
	sub(/^#define +/, "", name)
	if (!doc_at) {
		# the guard against a second inclusion
		if (trim(s) != "#define " name)
			fail(line, name " has no comment")
		return
	}
	parse_doc(doc, doc_at)
	if (doc_title != "define " name)
		fail(doc_at, "the comment of " name " begins with: define " name " - ")
	check_names(doc_of, 0, doc_at, name)
	emit("define", name)
	item_raw[items] = s
}

# a variable that is declared
function a_variable(s, line,    name)
{
	sub(/;$/, "", s)
	name = last_name(s)
	if (!doc_at) {
		fail(line, name " has no comment")
		return
	}
	parse_doc(doc, doc_at)
	if (doc_title != name)
		fail(doc_at, "the comment of " name " begins with: " name " - ")
	emit("variable", name)
	item_raw[items] = s
}

function declaration(raw, line,    s)
{
	s = plain(raw)
	if (s ~ /^struct [a-z_0-9]+( \{.*\})?;$/)
		a_struct(raw, line)
	else if (s ~ /^enum /)
		an_enum(raw, line)
	else if (s ~ /\(.*\)/)
		a_function(s, line)
	else
		a_variable(s, line)
	doc_at = 0
}

# ---- reading ----

function comment_line(s)
{
	sub(/^[ \t]*\*?\*?\/?/, "", s)
	return s
}

{
	line = $0
	if (FNR == 1) {
		if (line !~ /^\/\* SPDX-License-Identifier: /)
			fail(1, "no SPDX line")
		next
	}
	if (in_doc || (decl == "" && line ~ /^\/\*\*/)) {
		if (!in_doc) {
			if (doc_at)
				fail(doc_at, "a comment without a declaration")
			doc = ""
			doc_at = FNR
			sub(/^\/\*\*[ ]?/, "", line)
		} else {
			sub(/^ \*[ ]?/, "", line)
			if (line == "/")
				line = "*/"
		}
		in_doc = 1
		if (line ~ /\*\/$/) {
			sub(/ ?\*\/$/, "", line)
			in_doc = 0
		}
		doc = doc (doc == "" ? "" : "\n") line
		next
	}
	if (decl == "" && line ~ /^\/\* ---- .* ---- \*\/$/) {
		section = line
		gsub(/^\/\* ---- | ---- \*\/$/, "", section)
		next
	}
	if (in_comment || (decl == "" && line ~ /^\/\*/)) {
		in_comment = 1
		if (!head_done) {
			s = line
			sub(/^\/\*|^ \*\/?[ ]?/, "", s)
			sub(/\*\/$/, "", s)
			head = head "\n" s
		}
		if (line ~ /\*\/$/) {
			in_comment = 0
			head_done = 1
		}
		next
	}
	if (decl == "" && line ~ /^#[ ]*define/) {
		define_at = FNR
		define = line
	} else if (define_at) {
		define = define " " line
	}
	if (define_at) {
		if (define !~ /\\$/) {
			a_define(define, define_at)
			define_at = 0
			doc_at = 0
		} else {
			sub(/\\$/, "", define)
		}
		next
	}
	if (decl == "" && (line ~ /^#/ || line ~ /^extern "C" \{$/ || line ~ /^}$/ ||
			trim(line) == ""))
		next
	if (decl == "")
		decl_at = FNR
	decl = decl (decl == "" ? "" : "\n") line
	s = plain(decl)
	if (s ~ /;$/ && gsub(/\{/, "{", s) == gsub(/\}/, "}", s)) {
		declaration(decl, decl_at)
		decl = ""
	}
}

# ---- the page ----

function synopsis(    i, j, n, par, last)
{
	print ".Sh SYNOPSIS"
	print ".In " include
	for (i = 1; i <= items; i++) {
		if (item_kind[i] != "function")
			continue
		prototype(i)
	}
}

function prototype(i,    n, par, j)
{
	print ".Ft \"" item_type[i] "\""
	print ".Fo " item_name[i]
	n = split_outside(item_args[i], ",", par)
	for (j = 1; j <= n; j++)
		print ".Fa \"" par[j] "\""
	print ".Fc"
}

function definition(raw,    n, l, i, s)
{
	s = raw
	# the members' comments stand below
	while (match(s, /[ \t]*\/\*\*([^*]|\*+[^*\/])*\*+\/\n+/))
		s = substr(s, 1, RSTART - 1) substr(s, RSTART + RLENGTH)
	while (match(s, /\n[ \t]*\n/))
		s = substr(s, 1, RSTART) substr(s, RSTART + RLENGTH)
	n = split(s, l, "\n")
	print ".Bd -literal"
	for (i = 1; i <= n; i++)
		print literal(l[i])
	print ".Ed"
}

function item(i)
{
	parse_doc(item_doc[i], item_line[i])
	if (item_kind[i] == "function")
		print ".It Fn " item_name[i]
	else if (item_kind[i] == "define")
		print ".It Dv " item_name[i]
	else
		print ".It Vt \"" item_name[i] "\""
	print fill(doc_short)
	if (item_kind[i] == "function") {
		described()
		paragraphs(doc_text)
	} else {
		paragraphs(doc_text)
		if (item_raw[i] ~ /\{/)
			definition(item_raw[i])
		described()
	}
	if (doc_return != "") {
		print ".Pp"
		print "Return:"
		print fill(doc_return)
	}
	if (doc_context != "") {
		print ".Pp"
		print "Context:"
		print fill(doc_context)
	}
}

END {
	if (doc_at)
		fail(doc_at, "a comment without a declaration")
	if (bad || names)
		exit bad
	split(title, t, " ")
	sub(/^[ \t\n]+/, "", head)
	n = split(head, para, /\n[ \t]*\n/)
	# its first words: the header's name
	first = trim(para[1])
	gsub(/\n/, " ", first)
	include = substr(first, 1, index(first, ":") - 1)
	first = trim(substr(first, index(first, ":") + 1))
	short = first
	sub(/[,.].*/, "", short)
	print ".\\\" SPDX-License-Identifier: BSD-3-Clause"
	print ".\\\" made by man/header.awk from " FILENAME
	print ".Dd " date
	print ".Dt " toupper(title)
	print ".Os"
	print ".Sh NAME"
	print ".Nm " tolower(t[1])
	print ".Nd " short
	synopsis()
	print ".Sh DESCRIPTION"
	print fill(toupper(substr(first, 1, 1)) substr(first, 2))
	for (i = 2; i <= n; i++)
		paragraphs(para[i])
	section = ""
	list = 0
	for (i = 1; i <= items; i++) {
		if (item_section[i] != section || !list) {
			if (list)
				print ".El"
			section = item_section[i]
			if (section != "")
				print ".Ss " toupper(substr(section, 1, 1)) substr(section, 2)
			print ".Bl -tag -width Ds"
			list = 1
		}
		item(i)
	}
	if (list)
		print ".El"
	if (example != "") {
		print ".Sh EXAMPLES"
		print ".Bd -literal"
		while ((getline l <example) > 0)
			print literal(l)
		print ".Ed"
	}
	print ".Sh SEE ALSO"
	n = split(see, pages, ",")
	for (i = 1; i <= n; i++)
		print ".Xr " pages[i] (i < n ? " ," : "")
}

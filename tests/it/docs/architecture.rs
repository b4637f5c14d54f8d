//! What docs/architecture.md promises of the code: few folders, which build on each other in one order, and no circle of
//! files. There is an arrow from a file to the one that defines what a path in it leads to. Paths are read as text, which
//! rustfmt keeps in shape; tests do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use regex::Regex;

use super::path;

/// The folders of the consumer: each builds on those after it.
const ROOMS: &str = "commands worker report kubernetes stream config matching engine object";

/// The names that lead to it from the root of its package, or from where it is used.
type Names = Vec<String>;
/// From each file to others.
type Arrows = BTreeMap<Names, BTreeSet<Names>>;

#[derive(Default)]
struct File {
    children: BTreeSet<String>,
    definitions: BTreeSet<String>,
    imports: BTreeMap<String, Names>,
    globs: Vec<Names>,
    /// Those outside of imports.
    paths: Vec<Names>,
}

/// The files of a package, by their modules.
struct Package(BTreeMap<Names, File>);

/// Comments, strings and characters; imports; definitions; child modules; and other paths.
static PATTERNS: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    let public = r"(?:pub(?:\([^)]*\))? )?";
    let defines = "(?:fn|struct|enum|trait|type|const|static|union)";
    [
        r##"(?s)//[^\n]*|r#".*?"#|r"[^"]*"|"(?:\\.|[^"\\])*"|'(?:\\.[^']*|[^\\'])'"##,
        &format!("(?m)^ *{public}use ([^;]+);"),
        &format!(r"(?m)^{public}(?:async |const |unsafe )*{defines} (\w+)"),
        &format!(r"(?m)^{public}mod (\w+);"),
        r"(?:\w+::)+\w+",
    ]
    .map(|pattern| Regex::new(pattern).unwrap())
});

/// Without what is compiled for tests alone: from the attribute to the line that ends the item.
fn without_tests(code: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut kept, mut lines) = (String::new(), code.lines());
    while let Some(line) = lines.next() {
        let attribute = line.trim_start();
        if attribute.starts_with("#[cfg(test") || attribute.starts_with("#[cfg(all(test") {
            let ends = |it: &&str| indent(it) == indent(line) && it.ends_with([';', '}', ',']);
            lines.by_ref().find(ends);
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn names(path: &str) -> Names {
    let names = path.split("::").map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

impl File {
    fn read(code: &str) -> Self {
        let [texts, imports, definitions, children, paths] = &*PATTERNS;
        let code = without_tests(&texts.replace_all(code, ""));
        let all = |pattern: &Regex| {
            let found = pattern.captures_iter(&code);
            found.map(|found| found[1].to_owned()).collect()
        };
        let rest = imports.replace_all(&code, "");
        let found = paths.find_iter(&rest);
        let mut file = Self {
            children: all(children),
            definitions: all(definitions),
            paths: found.map(|it| names(it.as_str())).collect(),
            ..Self::default()
        };
        for import in imports.captures_iter(&code) {
            file.import(&[], &import[1]);
        }
        file
    }

    /// One tree of a `use`, below what stands before it.
    fn import(&mut self, before: &[String], tree: &str) {
        let tree = tree.trim();
        if let Some((head, inner)) = tree.strip_suffix('}').and_then(|it| it.split_once('{')) {
            let (head, mut depth) = ([before, &names(head)].concat(), 0);
            let parts = inner.split(|letter| {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                letter == ',' && depth == 0
            });
            parts.for_each(|part| self.import(&head, part));
            return;
        }
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path = [before, &names(path)].concat();
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        match path.last() {
            Some(last) if last == "*" => {
                path.pop();
                self.globs.push(path);
            }
            Some(last) => {
                let name = if alias.is_empty() { last } else { alias };
                self.imports.insert(name.to_owned(), path);
            }
            None => {}
        }
    }
}

impl Package {
    fn read(sources: &Path) -> Self {
        let mut package = Self(BTreeMap::new());
        package.add(&Names::new(), sources, &sources.join("lib.rs"));
        package
    }

    /// The file of a module and those of its children, which are in this folder.
    fn add(&mut self, module: &Names, folder: &Path, file: &Path) {
        let file = File::read(&fs::read_to_string(file).unwrap());
        for child in &file.children {
            let below = folder.join(child);
            let inside = below.join("mod.rs");
            let beside = folder.join(format!("{child}.rs"));
            let file = if inside.exists() { inside } else { beside };
            self.add(
                &[module.as_slice(), std::slice::from_ref(child)].concat(),
                &below,
                &file,
            );
        }
        self.0.insert(module.clone(), file);
    }

    /// The module that defines what the path leads to from this module; `None` for a module and for what other packages
    /// define. `most`: re-exports on the way.
    fn definition(&self, module: &Names, path: &[String], most: usize) -> Option<Names> {
        let (mut module, mut rest) = (module.clone(), path);
        loop {
            let (name, after) = rest.split_first()?;
            let file = self.0.get(&module)?;
            match name.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()?),
                _ if file.children.contains(name) => module.push(name.clone()),
                _ if file.definitions.contains(name) => return Some(module),
                _ => {
                    let most = most.checked_sub(1)?;
                    if let Some(import) = file.imports.get(name) {
                        return self.definition(&module, &[import, after].concat(), most);
                    }
                    let mut globs = file.globs.iter();
                    return globs
                        .find_map(|glob| self.definition(&module, &[glob, rest].concat(), most));
                }
            }
            rest = after;
        }
    }

    /// A file that its folder's `mod.rs` is cut into builds on that, and is no other one: no arrow leads there. One does
    /// lead to `lib.rs`.
    fn arrows(&self) -> Arrows {
        let arrows = self.0.iter().map(|(module, file)| {
            let paths = file.imports.values().chain(&file.paths);
            let to = paths.filter_map(|path| self.definition(module, path, 8));
            let is_other = |to: &Names| to != module && (to.is_empty() || !module.starts_with(to));
            (module.clone(), to.filter(is_other).collect())
        });
        arrows.collect()
    }
}

fn arrows(package: &str) -> Arrows {
    let arrows = Package::read(&path(package).join("src")).arrows();
    let count: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(count > 300, "{count} arrows: the code is not read");
    arrows
}

/// What is left when all are taken away to which, or from which, no arrow leads.
fn circles(mut arrows: Arrows) -> Arrows {
    loop {
        let before = arrows.len();
        let reached: BTreeSet<_> = arrows.values().flatten().cloned().collect();
        arrows.retain(|from, to| reached.contains(from) && !to.is_empty());
        let left: BTreeSet<_> = arrows.keys().cloned().collect();
        for to in arrows.values_mut() {
            to.retain(|to| left.contains(to));
        }
        if arrows.len() == before {
            return arrows;
        }
    }
}

#[test]
fn no_files_form_a_circle() {
    for package in ["consumer", "ingress"] {
        let circles = circles(arrows(package));
        assert!(circles.is_empty(), "{package}: {circles:#?}");
    }
}

#[test]
fn the_consumer_has_few_rooms() {
    let entries = fs::read_dir(path("consumer/src")).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let folders = entries.filter(|entry| entry.is_dir());
    let found: BTreeSet<_> = folders
        .map(|it| it.file_name().unwrap().to_owned())
        .collect();
    assert!(found.len() <= 12, "{found:?}");
    assert_eq!(found, ROOMS.split(' ').map(Into::into).collect());
}

#[test]
fn three_arrows_between_rooms_run_back_up() {
    let place = |file: &Names| {
        ROOMS
            .split(' ')
            .position(|room| Some(room) == file.first().map(String::as_str))
    };
    let mut up = BTreeSet::new();
    for (from, to) in arrows("consumer") {
        let above = to
            .iter()
            .filter(|to| place(to).is_some() && place(to) < place(&from));
        up.extend(above.map(|to| format!("{} → {}", from[0], to[0])));
    }
    assert!(up.len() <= 3, "{up:?}");
}

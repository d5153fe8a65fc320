# Functions, variables, arithmetic, case, loops, quoting.
fact() { if [ $1 -le 1 ]; then echo 1; else echo $(($1 * $(fact $(($1 - 1))))); fi; }
fact 10
scope() { local v=inner; echo $v; }; v=outer; scope; echo $v
ret() { return $1; }; ret 42; echo $?
args() { echo "$# <$1> <$2>"; shift; echo "$*"; }; args "a b" c d
for i in 1 2 3 4 5; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done
n=5; until [ $n -eq 0 ]; do n=$((n - 1)); done; echo $n
case abc.txt in *.c) echo c;; a*.txt|b*) echo txt;; *) echo other;; esac
x=path/to/file.tar.gz; echo ${x##*/} ${x%%.*} ${x#*/} ${x%.gz} ${#x}
echo ${unset:-default} ${unset:=assigned} $unset ${unset:+alt}
(: ${really_unset:?is missing}) 2>&1 | sed 's/.*really/really/'; echo "status $?"
echo "a  b"   a  b 'single $x' "double ${x%.tar.gz}"
set -- one "two three" four; for a; do echo "[$a]"; done; echo $#
IFS=:; set -- $(echo a:b:c); echo $2; unset IFS
echo $((7 / 2)) $((7 % 3)) $((1 << 10)) $((0x1f)) $((5 > 3 && 2 < 1)) $((2 ** 1 + 3 * (4 - 1)))
eval 'y=$((3 + 4))'; echo $y
a=1; b=a; eval echo \$$b
echo {a,b} *.nosuch [p]oem
readonly r=1; (r=2) 2>/dev/null; echo "readonly $?"
command -v test >/dev/null && echo builtin
type nosuchthing >/dev/null 2>&1; echo "type $?"
printf '%s-%03d\n' x 7

# What goes wrong, and how it is told.
nosuchcommand 2>/dev/null; echo $?
./poem 2>/dev/null; echo $?
cd nosuch 2>/dev/null; echo $?
/tmp 2>/dev/null; echo $?
sh -c 'set -e; false; echo not reached'; echo $?
sh -c 'set -u; echo $nothing; echo not reached' 2>/dev/null; echo $?
sh -c 'exit 300'; echo $?
printf '#!/nosuch/interpreter\n' >s; chmod +x s; ./s 2>/dev/null; echo $?
printf 'echo no shebang $1\n' >s2; chmod +x s2; ./s2 arg; echo $?
printf '#!/bin/sh -e\nfalse\necho no\n' >s3; chmod +x s3; ./s3; echo $?
printf '#!/bin/busybox awk -f\nBEGIN { print "awk script" }\n' >s4; chmod +x s4; ./s4 2>/dev/null; echo $?
printf '\177ELF garbage' >s5; chmod +x s5; ./s5 2>/dev/null; echo "elf $?"
(ulimit -n 5; exec 8>x) 2>/dev/null; echo "limit $?"
(ulimit -f 1; dd if=/dev/zero of=toobig bs=1024 count=10 2>/dev/null); echo "file size $?"

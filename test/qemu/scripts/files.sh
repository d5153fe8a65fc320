# Files as scripts use them: globs, tests, links, times, find.
mkdir -p t/a t/b; touch t/a/1 t/a/2 t/b/3; chmod 600 t/a/1; ln -s a/1 t/link; ln t/a/2 t/hard
echo t/* t/*/[12] t/nosuch*
for f in t/a/1 t/link t/nosuch t/a /dev/null; do
	r=; for o in e f d L r x s c; do test -$o $f && r=$r$o; done; echo "$f $r"
done
test t/a/2 -ef t/hard && echo same file
touch -d '2001-01-01' old; touch -d '2002-01-01' new; test new -nt old && echo newer
find t | sort; rm -r t/a; ls -A t | sort
cp -r t u && rm -rf t && find u | sort
echo data >f && mv f g && cat g && rm g && ! test -e g && echo gone
umask 027; touch um; mkdir umd; stat -c '%a %n' um umd; umask
cd dir; pwd | sed 's,.*/,,'; cd -  >/dev/null; pwd | sed 's,.*/,,'
dd if=/dev/zero of=big bs=1024 count=300 2>/dev/null; wc -c <big; cksum <big
i=0; while [ $i -lt 50 ]; do echo line $i >>log; i=$((i + 1)); done; wc -l <log; sed -n '$p' log
( exec >sub; echo to sub ); cat sub
read -r first rest <poem; echo "$first|$rest"
